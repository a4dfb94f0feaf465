"""What decides whether and how an image is built; whole plans are in ``tests/plans/build.json``."""

from typing import Any

import pytest
from support import built, image, inputs, profile, service, stack

from tasks.build.plan.bake import bake_names, outputs
from tasks.build.plan.build import (
    BuildPlan,
    Options,
    digests,
    dockerfile_path,
    explain_failure,
    fingerprint,
    local_contexts,
    plan,
    selected,
    target,
)
from tasks.model.engine.facts import FINGERPRINT_LABEL, Image
from tasks.model.engine.image_contents import NO_ALIASES, Aliases
from tasks.model.errors import InputError, SlipwayError
from tasks.model.reference import split_reference
from tasks.model.stack.stack import Build

DOCKERFILE = """\
FROM golang:1.27 AS builder
ARG VERSION COMMIT
RUN go build
FROM debian:13 AS debug
FROM scratch AS production
COPY --from=builder /web /web
"""
BUILD = Build(context="/srv/web", target="production")
INPUTS = inputs(DOCKERFILE, **{"golang:1.27": "sha256:go", "debian:13": "sha256:debian"})


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("web", ("web", "latest")),
        ("web:dev", ("web", "dev")),
        ("shop/web:dev", ("shop/web", "dev")),
        ("registry.example.com:5000/web", ("registry.example.com:5000/web", "latest")),
        ("registry.example.com:5000/shop/web:dev", ("registry.example.com:5000/shop/web", "dev")),
        ("localhost:5000/web:1.4.2", ("localhost:5000/web", "1.4.2")),
        ("web:dev@sha256:" + "a" * 64, ("web", "dev")),
        ("web@sha256:" + "a" * 64, ("web", "latest")),
    ],
)
def test_a_reference_is_split_at_the_tag_and_not_at_the_port(reference: str, expected: tuple[str, str]) -> None:
    assert split_reference(reference) == expected


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (Build("/srv/web"), "/srv/web/Dockerfile"),
        (Build("/srv/web", "docker/prod.Dockerfile"), "/srv/web/docker/prod.Dockerfile"),
        (Build("/srv/web", "/etc/Dockerfile"), "/etc/Dockerfile"),
        (Build("https://git.example.com/web.git"), ""),
        (Build("/srv/web", extra={"dockerfile_inline": "FROM scratch"}), ""),
    ],
)
def test_the_dockerfile_is_where_compose_looks_for_it(build: Build, expected: str) -> None:
    assert dockerfile_path(build) == expected


def test_a_build_reads_its_context_and_the_further_ones_on_this_machine() -> None:
    build = Build(
        "/srv/web", contexts={"lib": "/srv/lib", "base": "docker-image://x", "git": "https://example.com/x.git"}
    )

    assert local_contexts(build) == ("/srv/web", "/srv/lib")


def test_the_same_inputs_have_the_same_fingerprint_in_any_order() -> None:
    assert fingerprint("production", BUILD, {"A": "1", "B": "2"}, INPUTS) == fingerprint(
        "production", BUILD, {"B": "2", "A": "1"}, INPUTS
    )


@pytest.mark.parametrize(
    ("stage", "build", "arguments", "changed"),
    [
        ("debug", BUILD, {}, INPUTS),
        ("production", Build("/srv/web", "other.Dockerfile"), {}, INPUTS),
        ("production", Build("/srv/web", extra={"network": "host"}), {}, INPUTS),
        ("production", BUILD, {"A": "1"}, INPUTS),
        ("production", BUILD, {}, inputs(DOCKERFILE, "beef", **{"golang:1.27": "sha256:go"})),
        ("production", BUILD, {}, inputs(DOCKERFILE, **{"golang:1.27": "sha256:newer"})),
        ("production", BUILD, {}, inputs(DOCKERFILE)),
    ],
)
def test_whatever_goes_into_an_image_changes_its_fingerprint(
    stage: str, build: Build, arguments: dict[str, str], changed: Any
) -> None:
    assert fingerprint(stage, build, arguments, changed) != fingerprint("production", BUILD, {}, INPUTS)


def test_a_base_image_of_another_stage_changes_nothing() -> None:
    other = inputs(DOCKERFILE, **{"golang:1.27": "sha256:go", "debian:13": "sha256:newer"})

    assert fingerprint("production", BUILD, {}, other) == fingerprint("production", BUILD, {}, INPUTS)


def test_where_the_context_is_does_not_matter() -> None:
    elsewhere = Build(context="/home/ada/web", target="production")

    assert fingerprint("production", elsewhere, {}, INPUTS) == fingerprint("production", BUILD, {}, INPUTS)


def test_a_context_that_cannot_be_read_has_no_fingerprint() -> None:
    assert fingerprint("production", BUILD, {}, inputs(DOCKERFILE, "")) == ""


def arguments_of(stage: str, **args: str) -> dict[str, str]:
    web = service(image="shop/web:dev", build={"context": "/srv/web", "target": stage, "args": args})
    return dict(target(web, built(tag="v1.4.2"), INPUTS).arguments)


def test_the_version_is_given_to_the_stages_that_take_it() -> None:
    assert arguments_of("production") == {"VERSION": "1.4.2", "COMMIT": built().commit}


def test_a_new_commit_does_not_rebuild_a_stage_that_takes_no_version() -> None:
    assert arguments_of("debug") == {}


def test_the_compose_files_own_version_wins() -> None:
    assert arguments_of("production", VERSION="mine")["VERSION"] == "mine"


def test_an_argument_of_the_compose_file_is_given_though_no_stage_takes_it() -> None:
    assert arguments_of("debug", HTTP_PROXY="http://proxy:3128") == {"HTTP_PROXY": "http://proxy:3128"}


def causes(images: dict[str, Image]) -> dict[str, str]:
    shop = stack({"web": {"image": "shop/web:dev", "build": {"context": "/srv/web", "target": "production"}}})
    planned = plan(shop, profile(), built(), {"web": INPUTS}, Options(), "/srv", images)
    return dict(planned.causes)


def current() -> str:
    web = service(image="shop/web:dev", build={"context": "/srv/web", "target": "production"})
    return target(web, built(), INPUTS).fingerprint


def test_an_image_made_from_the_same_inputs_is_not_built_again() -> None:
    assert causes({"shop/web:dev": image(labels={FINGERPRINT_LABEL: current()})}) == {}


@pytest.mark.parametrize(
    ("images", "cause"),
    [
        ({}, "image shop/web:dev does not exist"),
        ({"shop/web:staging": image(labels={FINGERPRINT_LABEL: "x"})}, "image shop/web:dev does not exist"),
        ({"shop/web:dev": image()}, "image shop/web:dev was not built by Slipway"),
        ({"shop/web:dev": image(labels={FINGERPRINT_LABEL: "x"})}, "its sources, arguments or base images changed"),
    ],
)
def test_an_image_that_is_built_has_its_cause(images: dict[str, Image], cause: str) -> None:
    assert causes(images) == {"web": cause}


def test_a_plan_says_what_it_leaves_out() -> None:
    shop = stack({"web": {"image": "shop/web:dev", "build": {"context": "/srv/web", "target": "production"}}})
    there = {"shop/web:dev": image(labels={FINGERPRINT_LABEL: current()})}
    planned = plan(shop, profile(), built(), {"web": INPUTS}, Options(), "/srv", there)

    assert (planned.targets, planned.command, planned.unchanged) == ((), None, ("web",))


def test_a_stack_that_builds_nothing_has_nothing_to_run() -> None:
    planned = plan(stack({"cache": {"image": "valkey:8"}}), profile(), built(), {}, Options(), "/srv")

    assert (planned.targets, planned.command) == ((), None)


def test_a_secret_of_the_profile_is_in_no_line_of_a_build() -> None:
    web = {"image": "shop/web:dev", "build": {"context": "/srv/web", "args": {"TOKEN": "hunter2"}}}
    try:
        planned = plan(stack({"web": web}), profile(API_TOKEN="hunter2"), built(), {"web": INPUTS}, Options(), "/srv")
    except InputError:
        return  # refusing is as good: a build argument ends in the image's history

    assert planned.command is not None
    assert "hunter2" not in planned.command.shell()


def test_inputs_that_are_known_to_make_the_image_need_no_build() -> None:
    shop = stack({"web": {"image": "shop/web:dev", "build": {"context": "/srv/web", "target": "production"}}})
    there = {"shop/web:dev": image("sha256:web", labels={FINGERPRINT_LABEL: "other"})}

    def planned(known: Aliases) -> BuildPlan:
        return plan(shop, profile(), built(), {"web": INPUTS}, Options(), "/srv", there, aliases=known)

    assert planned(NO_ALIASES).outdated
    assert planned(NO_ALIASES.adding("shop/web:dev", "sha256:web", current())).unchanged == ("web",)
    assert planned(NO_ALIASES.adding("shop/web:dev", "sha256:gone", current())).outdated


@pytest.mark.parametrize(
    ("services", "expected"),
    [
        (("web", "load_test"), {"web": "web", "load_test": "load_test"}),
        (("web.api",), {"web.api": "web_api"}),
        (("a.b", "a_b"), {"a_b": "a_b", "a.b": "a_b_"}),
        (("a.b", "a_b", "a_b_"), {"a_b": "a_b", "a_b_": "a_b_", "a.b": "a_b__"}),
        (("a.b.c", "a_b.c", "a.b_c"), {"a.b.c": "a_b_c", "a.b_c": "a_b_c_", "a_b.c": "a_b_c__"}),
    ],
)
def test_no_two_services_share_a_target(services: tuple[str, ...], expected: dict[str, str]) -> None:
    assert bake_names(services) == expected == bake_names(services[::-1])


def test_services_whose_names_differ_by_a_sign_are_both_built() -> None:
    model = {name: {"image": f"shop/{image}:1", "build": {"context": f"/{image}"}} for name, image in NAMES.items()}
    planned = plan(stack(model), profile(), built(), dict.fromkeys(NAMES, inputs()), Options(), "/")

    assert planned.command is not None
    assert {output.names[0] for output in outputs(planned.command)} == {"shop/x:1", "shop/y:1"}


NAMES = {"a.b": "x", "a_b": "y"}


def chained(images: dict[str, Image] | None, base: Any = INPUTS, services: tuple[str, ...] = ()) -> BuildPlan:
    """Return the plan of a service that is built from another service's image."""
    model = {
        "web": {"image": "shop/web:1", "build": {"context": "/web", "additional_contexts": {"base": "service:base"}}},
        "base": {"image": "shop/base:1", "build": {"context": "/base"}},
        "other": {"image": "shop/other:1", "build": {"context": "/other"}},
    }
    given = {"web": inputs("FROM base\n"), "base": base, "other": inputs()}
    return plan(stack(model), profile(), built(), given, Options(services), "/", images)


def made_by(planned: BuildPlan) -> dict[str, Image]:
    return {target.reference: image(labels={FINGERPRINT_LABEL: target.fingerprint}) for target in planned.every}


def test_a_service_that_is_built_from_another_ones_image_is_unchanged_with_it() -> None:
    assert chained(made_by(chained(None))).command is None


def test_what_is_built_from_an_image_is_built_again_with_it() -> None:
    changed = chained(made_by(chained(None)), inputs(DOCKERFILE, "changed"))
    assert dict.fromkeys(("web", "base"), "its sources, arguments or base images changed") == changed.causes


def test_bake_gets_to_know_what_a_service_is_built_from_even_if_that_is_unchanged_or_not_asked_for() -> None:
    there = made_by(chained(None))
    del there["shop/web:1"]
    assert chained(there).causes == {"web": "image shop/web:1 does not exist", "base": "web is built from it"}
    assert [target.service for target in chained(None, services=("web",)).targets] == ["web", "base"]


def test_services_that_are_built_from_each_other_are_refused_by_name() -> None:
    build = {name: {"context": "/", "additional_contexts": {"x": f"service:{other}"}} for name, other in ("ab", "ba")}
    with pytest.raises(InputError, match="a → b → a"):
        selected(stack({name: {"build": section} for name, section in build.items()}))


def test_an_image_that_bake_reports_no_digest_of_counts_as_not_built() -> None:
    planned = plan(stack({"web": {"image": "r.example.com/web:1", "build": {"context": "/"}}}), profile(), built(), {"web": inputs()}, Options(by_digest=True), "/")  # fmt: skip # noqa: E501
    assert planned.command is not None
    assert outputs(planned.command) == ()
    with pytest.raises(SlipwayError, match=r"did not make .*/web:1"):
        digests(planned, {})


FULL = (
    "build failed: the engine's disk is full",
    "nothing was changed; `docker system df` shows what takes the space, and `docker builder prune "
    "--filter until=168h` removes build cache that was not used for a week",
)


@pytest.mark.parametrize(
    ("output", "free", "expected"),
    [
        ("ERROR: write /x: no space left on device", None, FULL),
        ("ERROR: failed to copy: No space left on device", 10**12, FULL),
        ("ERROR: failed to solve", 2**20, FULL),
        (
            "#9 compiling\n#9 ERROR: process failed\nERROR: failed to solve: exit code: 2\n",
            10**12,
            ("build failed: failed to solve: exit code: 2", "the failing instruction is above"),
        ),
        ("", 10**12, ("build failed with exit code 17", "the failing instruction is above")),
        ("", None, ("build failed with exit code 17", "the failing instruction is above")),
    ],
)
def test_a_failed_build_says_why(output: str, free: int | None, expected: tuple[str, str]) -> None:
    assert explain_failure(output, 17, free) == expected


def one_service(section: dict[str, Any], **images: Image) -> Any:
    model = stack({"web": {"image": "shop/web:1", "build": {"context": "/web", **section}}})
    return plan(model, profile(), built(), {"web": inputs()}, Options(), "/", {"shop/web:1": image()} | images)


def test_a_build_setting_that_bake_does_not_support_is_named() -> None:
    planned = one_service({"privileged": True, "isolation": "hyperv"})
    assert planned.ignored == ("services.web.build.isolation", "services.web.build.privileged")


@pytest.mark.parametrize("key", ["pull", "no_cache"])
def test_a_compose_file_that_wants_more_than_the_cache_is_always_built(key: str) -> None:
    assert one_service({key: True}).causes == {"web": f"the Compose file says build.{key}"}
