"""What ``clean`` removes."""

from support import container, image

from tasks.model.engine.facts import FINGERPRINT_LABEL, PROJECT_LABEL, NamedResource
from tasks.operate.plan.clean import CleanPlan, Leftovers, monitoring_images, own_images, plan
from tasks.release.plan.pins import forgotten, pinned_by, pins

FOUND = Leftovers(
    containers=(container("shop-web-1"), container("shop-web-2", state="exited")),
    networks=(NamedResource("n1", "shop_default"),),
    images=(
        image("sha256:a", tags=("shop/web:dev", "shop/web:1.0.0"), size=7_000_000),
        image("sha256:0123456789abcdef", size=1_000),
    ),
    volumes=(NamedResource("v1", "shop_data", 5_000_000), NamedResource("v2", "shop_odd", -1)),
)


def lines_of(cleaning: CleanPlan) -> list[str]:
    return [command.shell() for command in cleaning.commands]


def test_containers_and_networks_go_and_what_has_data_stays() -> None:
    cleaning = plan(FOUND, volumes=False, images=False, env={})

    assert lines_of(cleaning) == ["docker rm --force shop-web-1 shop-web-2", "docker network rm shop_default"]
    assert cleaning.lines == ("container shop-web-1 (running)", "container shop-web-2 (exited)", "network shop_default")
    assert cleaning.freed == 0


def test_images_go_when_asked_by_every_name_they_have() -> None:
    cleaning = plan(FOUND, volumes=False, images=True, env={})

    assert lines_of(cleaning)[2:] == ["docker image rm shop/web:dev shop/web:1.0.0 sha256:0123456789abcdef"]
    assert cleaning.lines[3:] == ("image shop/web:dev shop/web:1.0.0 (7.0 MB)", "image sha256:0123456789ab (1.0 kB)")
    assert cleaning.freed == 7_001_000


def test_files_of_releases_go_with_the_releases() -> None:
    leftovers = Leftovers(images=FOUND.images[:1], kept=("shop-release-files",))

    assert lines_of(plan(leftovers, volumes=False, images=True, env={}))[1:] == [
        "docker volume rm --force shop-release-files"
    ]
    assert plan(leftovers, volumes=True, images=False, env={}).commands == ()


def test_volumes_go_when_asked_and_a_size_that_is_not_known_frees_nothing() -> None:
    cleaning = plan(FOUND, volumes=True, images=False, env={})

    assert lines_of(cleaning)[2:] == ["docker volume rm --force shop_data shop_odd"]
    assert cleaning.lines[3:] == ("volume shop_data (5.0 MB)", "volume shop_odd (size unknown)")
    assert cleaning.freed == 5_000_000


def test_anonymous_volumes_go_with_their_containers_only_when_volumes_were_asked_for() -> None:
    assert "--volumes" in lines_of(plan(FOUND, volumes=True, images=False, env={}))[0].split()
    assert "--volumes" not in lines_of(plan(FOUND, volumes=False, images=True, env={}))[0].split()


def test_containers_go_first_and_volumes_last_so_that_nothing_is_in_use() -> None:
    commands = lines_of(plan(FOUND, volumes=True, images=True, env={}))

    assert [line.split()[1] for line in commands] == ["rm", "network", "image", "volume"]


def test_where_nothing_is_left_nothing_runs() -> None:
    assert plan(Leftovers(), volumes=True, images=True, env={}) == CleanPlan((), 0, ())


def test_every_command_goes_to_the_profiles_engine() -> None:
    env = {"DOCKER_HOST": "ssh://deploy@staging.example.com"}

    assert all(command.env == env for command in plan(FOUND, volumes=True, images=True, env=env).commands)


OWN = {PROJECT_LABEL: "shop"}


def test_names_that_keep_images_for_releases_are_told_from_others() -> None:
    assert pinned_by("redis:shop-release-3") == ("shop", 3)
    assert pinned_by("registry:5000/a/b:my-shop-release-12") == ("my-shop", 12)
    for name in ("redis:alpine", "shop-release:3", "app:shop-release-20240501", "app:shop-release-1a", "app:release-1"):
        assert pinned_by(name) is None


def test_names_of_a_projects_releases_on_images_of_others_are_its_own() -> None:
    images = [
        image("sha256:a", tags=("redis:alpine", "redis:shop-release-1", "redis:shop-release-2")),
        image("sha256:b", tags=("redis:my-shop-release-1",)),
    ]
    assert pins(images, "shop") == ("redis:shop-release-1", "redis:shop-release-2")


def test_an_image_is_a_projects_own_by_any_label_of_ours_that_names_it() -> None:
    images = (
        image("sha256:a", tags=("shop/web:1",), labels=OWN),
        image("sha256:b", tags=("shop-release:1", "registry/releases:prod-1"), labels={"slipway.release": "shop"}),
        image("sha256:c", labels={"slipway.whatever.comes": "shop"}),
        image("sha256:d", tags=("redis:alpine",), labels={"maintainer": "shop", "slipway.fingerprint": "abc"}),
        image("sha256:e", tags=("other/web:1",), labels={PROJECT_LABEL: "other"}),
    )
    assert [owned.id[-1] for owned in own_images(images, "shop", ())] == ["a", "b", "c"]


def test_an_image_that_another_project_took_over_keeps_the_names_of_that_project() -> None:
    tags = ("shop/web:1", "shop/web:prod", "shop/web:shop-release-1", "shop/web:shop-prod-release-4")
    (kept,) = own_images([image("sha256:a", tags=tags, labels=OWN)], "shop", {"shop/web:prod"})
    assert kept.tags == ("shop/web:1", "shop/web:shop-release-1")
    assert own_images([image("sha256:a", tags=("shop/web:prod",), labels=OWN)], "shop", {"shop/web:prod"}) == ()


def test_names_for_releases_go_with_the_images_and_only_when_asked() -> None:
    leftovers = Leftovers(pins=("redis:shop-release-1",))
    assert lines_of(plan(leftovers, volumes=False, images=True, env={})) == ["docker image rm redis:shop-release-1"]
    assert plan(leftovers, volumes=True, images=False, env={}).commands == ()


def test_what_is_forgotten_loses_its_names_and_so_does_what_has_no_record() -> None:
    images = [
        image("sha256:r2", tags=("shop-release:2",)),
        image("sha256:r5", tags=("shop-release:5",)),
        image("sha256:a", tags=("redis:alpine", "redis:shop-release-2", "redis:shop-release-5")),
        image("sha256:b", tags=("web:shop-release-1", "web:shop-release-6", "web:other-release-1")),
    ]
    # 1 has no record any more, 6 is about to get one.
    assert forgotten(images, "shop", "shop-release", {2}) == ("redis:shop-release-2", "web:shop-release-1")
    assert forgotten(images, "shop", "shop-release", ()) == ("web:shop-release-1",)
    assert forgotten(images[2:], "shop", "shop-release", ()) == ()


def test_images_of_what_monitors_the_stack_go_and_those_of_a_project_with_its_name_stay() -> None:
    label = {PROJECT_LABEL: "shop-monitoring"}
    ours = image("sha256:a", tags=("shop-monitoring/prometheus:dev",), labels={**label, FINGERPRINT_LABEL: "f"})
    theirs = image("sha256:b", tags=("shop-monitoring-web:latest",), labels=label)
    used = image("sha256:c", tags=("shop-monitoring/jaeger:dev",), labels={**label, FINGERPRINT_LABEL: "f"})
    others = {"shop-monitoring/jaeger:dev"}

    found = monitoring_images([ours, theirs, used], "shop-monitoring", others)
    assert [one.tags for one in found] == [("shop-monitoring/prometheus:dev",)]
