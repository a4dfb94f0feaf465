"""Images and registries: what a reference names, which tags may move, what is pushed, and what a failure means."""

import json

import pytest
from support import built, image, inputs, profile, service, stack

from tasks.build.plan import build, builder
from tasks.build.plan.build import named_image
from tasks.image.plan import registry
from tasks.image.plan.registry import Named, PromotionMove
from tasks.model import compose
from tasks.model.engine.facts import RegistryImage
from tasks.model.errors import CommandError, InputError, RefusedError

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
REPOSITORY = "registry.example.com/shop/web"


@pytest.mark.parametrize(
    ("reference", "host"),
    [
        ("web", ""),
        ("shop/web:dev", ""),
        ("registry.example.com/web", "registry.example.com"),
        ("registry:5000/shop/web:dev", "registry:5000"),
        ("localhost/web:dev", "localhost"),
        ("127.0.0.1:5000/web", "127.0.0.1:5000"),
        ("docker.io/shop/web", "docker.io"),
        ("web.example.com:dev", ""),
    ],
)
def test_the_registry_is_the_first_part_of_a_reference_if_it_looks_like_a_host(reference: str, host: str) -> None:
    assert registry.host(reference) == host


@pytest.mark.parametrize(
    "tag",
    ["1.4.2", "1.4.3-dev.5.g1a2b3c4", "2.0.0-rc.1", "0.0.0-dev.g1a2b3c4", "1.4.2-development", "sha-1a2b3c4",
     "sha-1a2b3c4-tester"],
)  # fmt: skip
def test_a_version_or_commit_keeps_its_content(tag: str) -> None:
    assert registry.exact(tag)


@pytest.mark.parametrize(
    "tag",
    ["latest", "1", "1.4", "staging", "dev", "1.4.2-dirty", "1.4.2-dirty-development", "0.0.0-dev",
     "0.0.0-dev-development", "sha-", "sha-xyz", "v1", "1.4.2x"],
)  # fmt: skip
def test_every_other_tag_moves(tag: str) -> None:
    assert not registry.exact(tag)


def release(**fields: object) -> Named:
    """Return the image of a service ``web`` of a release."""
    web = service("web", image=f"{REPOSITORY}:staging", build={"context": "/srv", **fields})
    return registry.of_service(web, built(tag="v1.4.2"))


def test_exact_tags_are_sent_before_those_that_move() -> None:
    tags = [reference.removeprefix(f"{REPOSITORY}:") for reference in release().references]

    assert tags == ["1.4.2", "sha-1a2b3c4", "staging", "1.4", "1", "latest"]


def test_the_compose_files_own_tags_are_sent_too() -> None:
    assert "mirror.example.com/web:x" in release(tags=["mirror.example.com/web:x"]).references


def test_a_build_and_a_push_name_the_same_references() -> None:
    web = service("web", image=f"{REPOSITORY}:staging", build={"context": "/srv"})
    target = build.target(web, built(tag="v1.4.2"), inputs())

    assert named_image(target) == release()


def test_an_image_that_two_services_use_is_sent_once() -> None:
    model = stack(
        {name: {"image": f"{REPOSITORY}:staging", "build": {"context": "/srv"}} for name in ("web", "worker")}
    )
    images = registry.images([registry.of_service(web, built()) for web in model.built()], "staging")

    assert [named.services for named in images] == [("web", "worker")]


def test_an_image_without_a_registry_is_refused() -> None:
    web = service("web", image="shop/web:dev", build={"context": "/srv"})

    with pytest.raises(RefusedError, match=r"^image shop/web:dev of service web names no registry \(environment dev\)"):
        registry.images([registry.of_service(web, built())], "dev")


def test_an_image_that_is_pinned_is_known_by_its_tag_and_its_digest() -> None:
    web = service("web", image=f"{REPOSITORY}:staging@{A}", build={"context": "/srv"})
    named = registry.of_service(web, built())

    assert (named.reference, named.pinned) == (f"{REPOSITORY}:staging", A)
    with pytest.raises(RefusedError, match=f"image {REPOSITORY}:staging@{A} is pinned to a digest"):
        registry.require_built([named], {}, "staging")


def test_a_project_that_builds_nothing_has_nothing_to_push() -> None:
    with pytest.raises(InputError, match="no service of the project has a build section"):
        registry.images([], "dev")


def test_an_image_that_is_not_built_is_refused() -> None:
    with pytest.raises(RefusedError, match="of service web is not built yet") as caught:
        registry.require_built([release()], {}, "staging")
    assert caught.value.hint == "inv build --env staging --service web"


def test_an_image_of_another_commit_is_refused() -> None:
    old = image(tags=(f"{REPOSITORY}:staging", f"{REPOSITORY}:1", f"{REPOSITORY}:1.4", f"{REPOSITORY}:latest"))

    with pytest.raises(RefusedError, match=r"does not carry 1\.4\.2, sha-1a2b3c4: it was built from another state"):
        registry.require_built([release()], {f"{REPOSITORY}:staging": old}, "staging")


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({"digests": (f"{REPOSITORY}@{A}",)}, True),
        ({"digests": (f"{REPOSITORY}@{B}", f"{REPOSITORY}@{A}")}, True),
        ({"digests": (f"elsewhere.example.com/web@{A}",)}, False),
        ({"digests": (f"{REPOSITORY}@{B}",)}, False),
        ({"identity": A}, True),  # the containerd image store: the ID is the digest
        ({}, False),
    ],
)
def test_the_engine_knows_what_it_has_sent(fields: dict[str, object], same: bool) -> None:
    assert registry.is_same(image(**fields), REPOSITORY, RegistryImage(A)) is same


def test_the_refusal_of_other_content_names_the_tag_and_both_digests() -> None:
    here = registry.local_digest(image(B), REPOSITORY)
    error = registry.refuse_other_content(f"{REPOSITORY}:1.4.2", A, here)

    assert error.exit_code == 3
    assert f"the registry has 1.4.2 as {A[:19]}" in error.message
    assert f"this image is {B[:19]} (image ID, not pushed yet)" in error.message


def test_a_manifest_names_its_configuration() -> None:
    assert registry.config_digest(json.dumps({"config": {"digest": A}})) == A
    assert [registry.config_digest(text) for text in ("", "no such manifest", "[]", "{}")] == [""] * 4


def test_the_images_of_a_manifest_list_are_known_by_platform() -> None:
    entries = [
        {"digest": A, "platform": {"os": "linux", "architecture": "amd64"}},
        {"digest": B, "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}},
        {"digest": "sha256:c", "platform": {"os": "unknown", "architecture": "unknown"}},
    ]

    assert registry.platform_digests(json.dumps({"manifests": entries})) == {"linux/amd64/": A, "linux/arm/v7": B}
    for text in ("", "[]", '{"config": {}}', '{"manifests": [{"digest": "x"}]}', '{"manifests": [{"platform": 1}]}'):
        assert registry.platform_digests(text) == {}


def test_the_digest_is_read_from_what_docker_prints() -> None:
    assert registry.digest(f"1.4: digest: {B} size: 1361\nstaging: digest: {A} size: 1361\n") == A
    assert registry.digest(f"staging: Pulling from web\nDigest: {A}\nStatus: Downloaded") == A
    assert registry.digest("nothing") == ""


def test_the_pause_doubles_up_to_half_a_minute() -> None:
    assert [registry.wait(attempt) for attempt in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]


HOST = "registry.example.com"
HEAD = f'Error response from daemon: Head "https://{HOST}/v2/shop/web/manifests/1.4.2": '
PING = f'Get "https://{HOST}/v2/": '


@pytest.mark.parametrize(
    ("words", "line", "code", "passing"),
    [
        (f"{HEAD}no basic auth credentials", f"registry {HOST} wants a login, and there is none", 3, False),
        ("no basic auth credentials", f"registry {HOST} wants a login, and there is none", 3, False),
        ("unauthorized: authentication required", f"registry {HOST} does not accept the credentials", 3, False),
        ("denied: requested access to the resource is denied", f"registry {HOST} denies access to", 3, False),
        (f"{HEAD}unknown: 403 Forbidden", f"registry {HOST} denies access to", 3, False),
        ("name unknown: The repository with name 'shop/web' does not exist in the registry with id '1'",
         f"registry {HOST} has no repository for", 3, False),
        ("manifest unknown: manifest unknown", f"registry {HOST} has no image", 3, False),
        (f"{PING}tls: failed to verify certificate: x509: certificate signed by unknown authority",
         f"registry {HOST}: its certificate is not trusted by the engine", 3, False),
        (f"{PING}http: server gave HTTP response to HTTPS client", "its certificate is not trusted", 3, False),
        (f"{PING}dial tcp: lookup {HOST} on 192.0.2.1:53: no such host", "there is no such host", 3, False),
        (f"{PING}dial tcp 192.0.2.7:443: connect: connection refused", f"registry {HOST} is not reachable", 1, True),
        (f"{PING}net/http: request canceled (Client.Timeout exceeded)", "not reachable", 1, True),
        (f"{PING}context deadline exceeded", "not reachable", 1, True),
        ("write tcp 192.0.2.1:5->192.0.2.7:443: write: connection reset by peer", "not reachable", 1, True),
        (f'Patch "https://{HOST}/v2/shop/web/blobs/uploads/1": EOF', "not reachable", 1, True),
        ("layer 1\nno answer within 600 s", "not reachable", 1, True),
        ("received unexpected HTTP status: 503 Service Unavailable", f"registry {HOST} failed at", 1, True),
        ("toomanyrequests: You have reached your pull rate limit", "limits the rate of requests", 1, True),
        ("received unexpected HTTP status: 507 Insufficient Storage", "has no space for", 1, False),
        ("unknown: write /data/blob: no space left on device", "has no space for", 1, False),
        ("An image does not exist locally with the tag: shop/web", "is not on the engine", 3, False),
        ("invalid reference format", f"{REPOSITORY}:1.4.2 is not the name of an image", 2, False),
        ("Credentials store error: StoreError('docker-credential-x not installed or not available in PATH')",
         f"Docker's credential helper does not answer for {HOST}", 3, False),
        ("an unknown message", f"registry {HOST}: an unknown message", 1, False),
        ("", f"registry {HOST}: no message", 1, False),
    ],
)  # fmt: skip
def test_a_failure_is_a_single_line_with_a_hint(words: str, line: str, code: int, passing: bool) -> None:
    fault = registry.explain(f"The push refers to repository [{REPOSITORY}]\n{words}", f"{REPOSITORY}:1.4.2")
    if not words:
        fault = registry.explain("", f"{REPOSITORY}:1.4.2")

    assert line in fault.message
    assert "\n" not in fault.message
    assert fault.hint
    assert fault.passing is passing
    assert isinstance(fault.error(), {2: InputError, 3: RefusedError}.get(code, CommandError))
    assert fault.error().exit_code == code


def test_the_name_of_an_image_is_no_reason() -> None:
    reference = f"{HOST}/denied/x509-timeout:500"

    assert "not reachable" in registry.explain(f"{PING}connect: connection refused", reference).message
    assert "wants a login" in registry.explain(f"{reference}: no basic auth credentials", reference).message


def test_what_the_engine_has_tried_five_times_is_not_tried_again() -> None:
    words = "69ad4c5ff40e: Retrying in 1 second\nreceived unexpected HTTP status: 500 Internal Server Error"
    fault = registry.explain(words, f"{REPOSITORY}:1.4.2")

    assert not fault.passing
    assert "a disk that is full or read-only looks like this" in fault.hint


@pytest.mark.parametrize(
    ("source", "target", "list_", "lines"),
    [
        ("shop/web:staging", "shop/web:prod", False, ["docker tag shop/web:staging shop/web:prod"]),
        (f"{REPOSITORY}:staging", f"{REPOSITORY}:prod", False,
         [f"docker pull {REPOSITORY}@{A}", f"docker tag {REPOSITORY}@{A} {REPOSITORY}:prod",
          f"docker push {REPOSITORY}:prod"]),
        (f"{REPOSITORY}:staging", f"{REPOSITORY}:prod", True,
         [f"docker buildx imagetools create -t {REPOSITORY}:prod {REPOSITORY}@{A}"]),
        ("shop/web:staging", f"{REPOSITORY}:prod", False,
         [f"docker tag shop/web:staging {REPOSITORY}:prod", f"docker push {REPOSITORY}:prod"]),
        (f"{REPOSITORY}:staging", "shop/web:prod", False,
         [f"docker pull {REPOSITORY}@{A}", f"docker tag {REPOSITORY}@{A} shop/web:prod"]),
    ],
)  # fmt: skip
def test_a_promotion_builds_nothing(source: str, target: str, list_: bool, lines: list[str]) -> None:
    move = PromotionMove("web", source, target, A, list_)

    assert [command.shell() for command in move.commands({}, "/srv")] == lines


def test_docker_gets_what_the_profile_says_of_docker_only() -> None:
    values = {"DOCKER_CONFIG": "/srv/ci", "BUILDX_BUILDER": "multi", "LOG_LEVEL": "info", "TOKEN": "x"}

    assert set(compose.docker_env(profile(**values))) == {"DOCKER_CONFIG", "BUILDX_BUILDER"}


INSPECTED = """Name:          default
Driver:        docker
Last Activity: 2026-05-06 07:08:09 +0000 UTC

Nodes:
Name:             default
Endpoint:         default
Status:           running
Platforms:        linux/amd64*, linux/amd64/v2, linux/386
"""
PLAIN = builder.Builder("default", "docker", ("linux/amd64",))
CONTAINERD = builder.Builder("default", "docker", ("linux/amd64",), stores_lists=True)
CONTAINER = builder.Builder("multi", "docker-container", ("linux/amd64", "linux/arm64"))
TWO = ("linux/amd64", "linux/arm64")


def test_the_builder_is_read_from_buildx() -> None:
    parsed = builder.parse(INSPECTED, False)

    assert parsed == builder.Builder("default", "docker", ("linux/amd64", "linux/amd64/v2", "linux/386"))


@pytest.mark.parametrize(
    ("spec", "kind"),
    [("type=inline", "inline"), ("mode=max,type=local,dest=/c", "local"), ("registry.example.com/cache", "registry")],
)
def test_a_cache_spec_has_a_type(spec: str, kind: str) -> None:
    assert builder.cache_type(spec) == kind


def test_each_service_has_a_cache_of_its_own() -> None:
    shop = profile(CACHE_TO="type=local,dest=/c/{service} type=inline")

    assert builder.caches({"cache_to": ["type=gha"]}, shop, "web", "cache_to") == [
        "type=gha",
        "type=local,dest=/c/web",
        "type=inline",
    ]


def test_a_build_for_one_platform_with_an_inline_cache_needs_no_special_builder() -> None:
    want = builder.wanted([("web", {"platforms": ["linux/arm64"]})], profile(CACHE_TO="type=inline"), True)

    assert not want.special


@pytest.mark.parametrize("able", [CONTAINERD, CONTAINER])
def test_a_builder_that_can_is_accepted(able: builder.Builder) -> None:
    builder.check(able, builder.BuilderOptions(TWO, ("type=registry,ref=x/y",), push=True))


@pytest.mark.parametrize("spec", ["type=registry,ref=x/y", "type=local,dest=/c", "type=gha", "x/y"])
def test_the_engines_own_builder_writes_no_cache(spec: str) -> None:
    with pytest.raises(RefusedError, match=r"builder default \(driver docker\) cannot write a build cache") as caught:
        builder.check(PLAIN, builder.BuilderOptions(exports=(spec,)))
    assert "docker buildx create --name multi --driver docker-container" in caught.value.hint


def test_the_engines_own_builder_builds_one_platform() -> None:
    with pytest.raises(RefusedError, match="cannot build linux/amd64,linux/arm64 as one image") as caught:
        builder.check(PLAIN, builder.BuilderOptions(TWO, push=True))
    assert "docker buildx create" in caught.value.hint
    assert "QEMU" in caught.value.hint


def test_a_list_of_platforms_has_to_be_pushed() -> None:
    with pytest.raises(RefusedError, match="manifest list, which the engine cannot store") as caught:
        builder.check(CONTAINER, builder.BuilderOptions(TWO))
    assert "add --push" in caught.value.hint


def test_a_platform_that_is_not_emulated_is_named() -> None:
    assert builder.not_emulated(PLAIN, TWO) == ("linux/arm64",)
    assert builder.not_emulated(CONTAINER, TWO) == ()


def test_what_is_pushed_by_digest_has_no_name_yet() -> None:
    model = stack({"web.api": {"image": f"{REPOSITORY}:staging", "build": {"context": "/srv"}}})
    options = build.Options(push=True, by_digest=True, platforms=TWO)
    plan = build.plan(model, profile(), built(), {"web.api": inputs()}, options, "/srv")

    assert plan.command is not None
    assert plan.command.argv == ("docker", "buildx", "bake", "-f", "-")
    target = json.loads(plan.command.stdin or "")["target"]["web_api"]
    assert "tags" not in target
    assert target["output"] == [f"type=image,name={REPOSITORY},push-by-digest=true,name-canonical=true,push=true"]
    assert build.digests(plan, {"web_api": {"containerimage.digest": A}}) == {f"{REPOSITORY}:staging": A}


def test_provenance_is_asked_of_the_builder_as_the_profile_says() -> None:
    asked = {mode: builder.attestations(profile(BUILD_PROVENANCE=mode)) for mode in ("", "off", "min", "max")}

    assert asked == {
        "": [],
        "off": ["type=provenance,disabled=true"],
        "min": ["type=provenance,mode=min"],
        "max": ["type=provenance,mode=max"],
    }


@pytest.mark.parametrize("mode", ["", "off"])
def test_no_builder_is_asked_for_no_attestations(mode: str) -> None:
    assert not builder.wanted((), profile(BUILD_PROVENANCE=mode), False).special


def test_a_builder_that_makes_no_attestations_is_refused_with_a_hint() -> None:
    want = builder.wanted((), profile(BUILD_PROVENANCE="max"), False)

    assert want.special
    builder.check(CONTAINERD, want)
    with pytest.raises(RefusedError, match="makes no attestations \\(BUILD_PROVENANCE=max\\)") as caught:
        builder.check(PLAIN, want)
    assert "docker buildx create" in caught.value.hint


def test_attestations_of_a_builder_elsewhere_need_a_registry() -> None:
    with pytest.raises(RefusedError, match="a manifest list, which the engine cannot store") as caught:
        builder.check(CONTAINER, builder.BuilderOptions(provenance="min"))
    assert "--push" in caught.value.hint
    builder.check(CONTAINER, builder.BuilderOptions(provenance="min", push=True))
