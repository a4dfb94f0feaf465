"""Signatures by key: the commands, what cosign's answers mean, and what stops a deploy."""

import json

import pytest
from support import image, profile, stack

from tasks.image.plan.signing import (
    ABSENT,
    NOT_PUSHED,
    OTHER_IMAGE,
    OTHER_KEY,
    SIGNED,
    UNSIGNED,
    Status,
    Trust,
    check_key,
    image_replaced,
    judge,
    key_fault,
    passing_fault,
    pinned_names,
    sign,
    signature_faults,
    verify,
    verify_key,
    wanted,
)
from tasks.model.errors import InputError, RefusedError, SlipwayError
from tasks.model.secret import Secret, is_secret_name

DIGEST = "sha256:" + "a" * 64
REPOSITORY = "registry.example.com/shop/web"
PINNED = f"{REPOSITORY}@{DIGEST}"
KEYS = {"SIGN_KEY": "keys/cosign.key", "VERIFY_KEY": "keys/cosign.pub"}


def payload(reference: str = REPOSITORY, digest: str = DIGEST) -> str:
    """Return a signature as ``cosign verify`` prints it."""
    identity, subject = {"docker-reference": reference}, {"docker-manifest-digest": digest}
    return json.dumps([{"critical": {"identity": identity, "image": subject}, "optional": None}])


def judged(exit_code: int, output: str = "", errors: str = "") -> str:
    return judge(PINNED, exit_code, output, errors, "keys/cosign.pub")


def test_signing_is_by_digest_without_a_transparency_log() -> None:
    command = sign(profile(**KEYS), PINNED, Trust(), True, "/shop")

    assert command.shell() == f"cosign sign --key keys/cosign.key --tlog-upload=false --yes {PINNED}"
    assert command.cwd == "/shop"


def test_the_password_is_in_the_environment_of_cosign_alone_and_masked() -> None:
    signing = profile(**KEYS, SIGN_PASSWORD="pony")
    command = sign(signing, PINNED, Trust(), False, "/shop")

    assert is_secret_name("SIGN_PASSWORD")
    assert command.env["COSIGN_PASSWORD"] == Secret("pony")
    assert "pony" not in command.shell() + str(command)
    assert "COSIGN_PASSWORD" not in verify(signing, PINNED, Trust(), "/shop").env
    assert "SIGN_PASSWORD" not in signing.compose_env()


def test_a_password_that_the_process_has_is_left_alone_and_none_is_an_empty_one() -> None:
    assert "COSIGN_PASSWORD" not in check_key(profile(**KEYS), True, "/shop").env
    assert check_key(profile(**KEYS), False, "/shop").env["COSIGN_PASSWORD"] == ""


def test_cosign_gets_dockers_logins() -> None:
    command = verify(profile(**KEYS, DOCKER_CONFIG="/srv/docker"), PINNED, Trust(), "/shop")

    assert command.env["DOCKER_CONFIG"] == "/srv/docker"
    assert command.shell() == f"cosign verify --key keys/cosign.pub --insecure-ignore-tlog=true {PINNED}"


def test_only_this_machine_is_spoken_to_without_tls() -> None:
    assert Trust().flags() == ()
    assert Trust(loopback=True).flags() == ("--allow-insecure-registry=true",)
    assert Trust(authority="/etc/docker/certs.d/r:5000/ca.crt").flags() == (
        "--registry-cacert=/etc/docker/certs.d/r:5000/ca.crt",
    )


def test_what_counts_has_to_be_said() -> None:
    with pytest.raises(InputError, match="VERIFY_KEY is not set"):
        verify_key(profile(VERIFY_SIGNATURES="true"))
    assert not wanted(profile())
    assert wanted(profile(SIGN_KEY="k"))
    assert wanted(profile(VERIFY_SIGNATURES="true"))


def test_cosigns_answers() -> None:
    assert judged(0, payload()) == SIGNED
    assert judged(10, errors="Error: no signatures found") == UNSIGNED
    assert judged(12, errors="Error: no matching signatures: invalid signature when validating") == OTHER_KEY
    assert (
        judged(12, errors=f"Error: no matching signatures: invalid or missing digest in claim: {DIGEST}") == OTHER_IMAGE
    )


@pytest.mark.parametrize("output", [payload("registry.example.com/shop/worker"), payload(digest="sha256:b"), "", "[1]"])
def test_a_signature_of_another_image_is_none(output: str) -> None:
    assert judged(0, output) == OTHER_IMAGE


def test_one_of_several_signatures_is_enough() -> None:
    assert judged(0, payload("registry.example.com/shop/worker") + "\n" + payload()) == SIGNED


def test_docker_hub_has_two_names() -> None:
    state = judge(f"postgres@{DIGEST}", 0, payload("index.docker.io/library/postgres"), "", "k")

    assert state == SIGNED


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("Error: open k.pub: no such file or directory", "VERIFY_KEY: cannot read keys/cosign.pub (no such file"),
        ("Error: loading URL: env var $NAME not found", "names a variable that is not set"),
        ("Error: pem to public key: unknown Public key PEM file type", "is no public key of cosign"),
    ],
)
def test_a_key_that_cannot_be_read_is_bad_input(words: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        judged(1, errors=words)
    assert message in caught.value.message
    assert passing_fault(PINNED, 1, words) is None


def test_a_password_that_does_not_fit_is_told_without_it() -> None:
    error = key_fault("error during command execution: decrypt: encrypted: decryption failed", "SIGN_KEY", "k.key")

    assert error is not None
    assert error.message == "SIGN_KEY: the password does not open k.key"


def test_a_registry_that_does_not_answer_is_its_fault_and_asked_again() -> None:
    words = 'error during command execution: Get "https://registry.example.com/v2/": dial tcp: connection refused'
    fault = passing_fault(PINNED, 1, words)

    assert fault is not None
    assert fault.message.startswith("registry registry.example.com is not reachable")
    with pytest.raises(SlipwayError, match="is not reachable"):
        judged(1, errors=words)


def test_a_registry_that_wants_a_login_is_refused() -> None:
    with pytest.raises(RefusedError, match="does not accept the credentials"):
        judged(1, errors="Error: GET https://registry.example.com/v2/: UNAUTHORIZED: authentication required; [map[]]")


def test_a_certificate_that_cosign_does_not_trust_is_fixed_on_this_machine() -> None:
    with pytest.raises(RefusedError, match="is not trusted by cosign") as caught:
        judged(1, errors='Error: Get "https://registry.example.com/v2/": tls: x509: signed by unknown authority')
    assert "/etc/docker/certs.d/registry.example.com/ca.crt on this machine" in caught.value.hint


def test_an_image_is_verified_by_what_it_is_called_in_its_own_repository() -> None:
    known = image(digests=(f"{REPOSITORY}@sha256:1", "other.example.com/web@sha256:2", f"{REPOSITORY}@sha256:3"))

    assert pinned_names(known, f"{REPOSITORY}:prod") == (f"{REPOSITORY}@sha256:1", f"{REPOSITORY}@sha256:3")
    assert pinned_names(image(digests=("shop/web@sha256:1",)), "docker.io/shop/web:1") == (
        "docker.io/shop/web@sha256:1",
    )
    assert pinned_names(image(), f"{REPOSITORY}:prod") == ()


SHOP = stack({"web": {"image": f"{REPOSITORY}:prod", "build": {"context": "."}}, "cache": {"image": "redis:8"}})
CLEAN = (Status(("web",), f"{REPOSITORY}:prod", SIGNED, DIGEST), Status(("cache",), "redis:8", SIGNED, DIGEST))


def faults(*statuses: Status, building: tuple[str, ...] = ()) -> tuple[tuple[str, str], ...]:
    return signature_faults(profile("prod", **KEYS), SHOP.services, statuses, building)


def test_signed_images_may_run() -> None:
    assert faults(*CLEAN) == ()


@pytest.mark.parametrize(
    ("state", "reason", "fix"),
    [
        (UNSIGNED, "is not signed", "inv image.sign --env prod --service web"),
        (OTHER_KEY, "is signed by another key than VERIFY_KEY", "inv image.sign --env prod --service web"),
        (OTHER_IMAGE, "has the signature of another image", "inv image.sign --env prod --service web"),
        (NOT_PUSHED, "was never pushed to its registry", "inv image.push --env prod --service web"),
        (ABSENT, "is not on the engine", "inv image.pull --env prod --service web"),
    ],
)
def test_every_other_state_is_refused_with_the_way_to_fix_it(state: str, reason: str, fix: str) -> None:
    [(said, hint)] = faults(Status(("web",), f"{REPOSITORY}:prod", state, DIGEST))

    assert said.startswith(f"image {REPOSITORY}:prod of web")
    assert reason in said
    assert said.endswith("(VERIFY_SIGNATURES)")
    assert fix in hint


def test_an_image_that_the_project_does_not_build_is_pulled_by_hand() -> None:
    [(_, hint)] = faults(Status(("cache",), "redis:8", ABSENT))

    assert hint == "docker pull redis:8"


def test_what_the_deploy_would_build_has_no_signature_and_is_told_once() -> None:
    [(said, hint)] = faults(Status(("web",), f"{REPOSITORY}:prod", UNSIGNED, DIGEST), building=("web",))

    assert said.startswith("web: the image would be built here")
    assert "inv build --env prod --push" in hint


def test_a_pull_at_the_start_would_bring_an_image_that_was_not_verified() -> None:
    pulled = stack({"web": {"image": f"{REPOSITORY}:prod", "pull_policy": "always"}})
    [(said, _)] = signature_faults(profile("prod", **KEYS), pulled.services, CLEAN[:1], ())

    assert said.startswith("service web says pull_policy: always")


def test_a_name_that_was_given_away_is_refused_with_both_digests() -> None:
    error = image_replaced("shop/web:prod", "sha256:" + "1" * 64, "sha256:" + "2" * 64)

    assert "sha256:222222222222 now" in error.message
    assert "sha256:111111111111" in error.message
