"""Where a registry keeps releases, and by which names another engine finds them."""

from support import stack

from tasks.release.plan.publish import image_names, own_name, repository, serving_name, with_digests
from tasks.release.plan.release import Pinned, Release

BUILD = {"build": {"context": "."}}
SHOP = stack(
    {
        "web": {"image": "registry.example.com/team/web:staging", **BUILD},
        "worker": {"image": "registry.example.com/team/worker:staging", **BUILD},
        "database": {"image": "postgres:17"},
    },
    project="shop",
)
RELEASE = Release(
    7, "staging", "1.4.2", "1a2b3c4", "2026-05-06T07:08:09Z", "ann@ops",
    images={
        "web": Pinned("registry.example.com/team/web:staging", "sha256:aa"),
        "database": Pinned("postgres:17", "sha256:bb", "postgres@sha256:bb"),
    },
)  # fmt: skip


def test_the_records_lie_next_to_the_images() -> None:
    assert repository(SHOP) == "registry.example.com/team/shop-release"
    assert serving_name(SHOP, "staging") == "registry.example.com/team/shop-release:staging"
    assert own_name(SHOP, "staging", 7) == "registry.example.com/team/shop-release:staging.7"
    assert own_name(SHOP, "prod", 2) != serving_name(SHOP, "prod-2")


def test_a_stack_with_an_image_that_names_no_registry_has_no_place_for_them() -> None:
    assert repository(stack({"web": {"image": "web:staging", **BUILD}})) == ""
    assert repository(stack({"database": {"image": "registry.example.com/postgres:17"}})) == ""


def test_images_of_different_teams_have_their_records_in_what_they_share() -> None:
    apart = stack(
        {"a": {"image": "registry.example.com/a/x", **BUILD}, "b": {"image": "registry.example.com/b/x", **BUILD}}
    )
    assert repository(apart) == f"registry.example.com/{apart.project}-release"


def test_what_is_built_gets_a_name_of_the_release_and_its_digest() -> None:
    names = image_names(SHOP, "staging", RELEASE)
    assert names == {"web": ("sha256:aa", "registry.example.com/team/web:shop.staging.7.web")}
    done = with_digests(RELEASE, {"web": "registry.example.com/team/web@sha256:cc"})
    assert done.images["web"].digest == "registry.example.com/team/web@sha256:cc"
    assert done.images["database"].digest == "postgres@sha256:bb"
