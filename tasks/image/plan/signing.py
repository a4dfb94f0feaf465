"""Signatures of images by key, with cosign: the commands, and what their answers mean.

There is no transparency log and no certificate: a single public key is trusted, so all of it works offline.
https://docs.sigstore.dev/cosign/key_management/signing_with_self-managed_keys/
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...model import compose
from ...model.command import Command
from ...model.engine.facts import Image
from ...model.errors import DeployError, InputError, RefusedError
from ...model.lazy_pattern import lazy_pattern
from ...model.profile.profile import Profile
from ...model.reference import familiar, split_reference
from ...model.secret import Secret
from ...model.stack.stack import Service
from . import registry

PROGRAM = "cosign"
PASSWORD = "COSIGN_PASSWORD"  # noqa: S105 - the name of a variable
_SECONDS = 120.0

SIGNED, UNSIGNED, OTHER_KEY, OTHER_IMAGE, NOT_PUSHED, ABSENT = (
    *("signed", "not signed", "signed by another key", "signed as another image"),
    *("never pushed", "not on the engine"),
)
# The exit codes of `cosign verify`: https://github.com/sigstore/cosign/blob/v2.5.0/cmd/cosign/errors/exit_codes.go
_NO_SIGNATURE, _NO_MATCH = 10, 12
_OF_ANOTHER = lazy_pattern(r"digest in claim|digest mismatch", re.IGNORECASE)
# With these pull policies `up` asks no registry for an image that is on the engine; it never builds.
_LOCAL = ("", "missing", "if_not_present", "never", "build")


@dataclass(frozen=True)
class Trust:
    """How cosign connects to a registry: ``authority`` is the file of its own certificate authority, "" without."""

    loopback: bool = False
    authority: str = ""

    def flags(self) -> tuple[str, ...]:
        """Return cosign's options. TLS is optional for a registry on this machine only, as it is for the engine."""
        options = ("--allow-insecure-registry=true",) if self.loopback else ()
        return (*options, *((f"--registry-cacert={self.authority}",) if self.authority else ()))


def wanted(profile: Profile) -> bool:
    """Whether a profile asks for signatures: to make them, or to require them."""
    return bool(profile.text("SIGN_KEY")) or profile.flag("VERIFY_SIGNATURES")


def verify_key(profile: Profile) -> str:
    """Return the public key; raises InputError when the profile names none."""
    key = profile.text("VERIFY_KEY")
    if not key:
        raise InputError(
            f"VERIFY_KEY is not set (environment {profile.environment}): nothing says whose signatures count",
            "name the public key, as in VERIFY_KEY=../keys/cosign.pub; `cosign generate-key-pair` makes a pair",
        )
    return key


def _signing(profile: Profile, given: bool) -> dict[str, str | Secret]:
    env = compose.docker_env(profile)
    if "SIGN_PASSWORD" in profile.values:
        env[PASSWORD] = Secret(profile.text("SIGN_PASSWORD"))
    elif not given:  # a key may have no password; without the variable cosign would prompt
        env[PASSWORD] = ""
    return env


def check_key(profile: Profile, given: bool, cwd: str) -> Command:
    """Return the command that opens the private key, and prints its public half.

    ``given`` is whether the process environment has the password.
    """
    return Command(
        (PROGRAM, "public-key", "--key", profile.text("SIGN_KEY")), env=_signing(profile, given), cwd=cwd, timeout=60
    )


def sign(profile: Profile, pinned: str, trust: Trust, given: bool, cwd: str) -> Command:
    """Return the command that signs an image in a registry: ``pinned`` is ``repository@digest``."""
    words = (PROGRAM, "sign", "--key", profile.text("SIGN_KEY"), "--tlog-upload=false", "--yes", *trust.flags(), pinned)
    return Command(words, env=_signing(profile, given), cwd=cwd)


def verify(profile: Profile, pinned: str, trust: Trust, cwd: str) -> Command:
    """Return the command that verifies the signatures of ``repository@digest``."""
    words = (PROGRAM, "verify", "--key", verify_key(profile), "--insecure-ignore-tlog=true", *trust.flags(), pinned)
    return Command(words, env=compose.docker_env(profile), cwd=cwd, timeout=_SECONDS)


def key_fault(text: str, name: str, key: str) -> InputError | None:
    """Return what is wrong with the key that SIGN_KEY or VERIFY_KEY names, by cosign's message; else None."""
    for pattern, message, hint in (
        (r"no such file|is a directory|permission denied", f"{name}: cannot read {key} ({{words}})",
         "write a path relative to the project directory, or env://NAME"),
        (r"env var .* not found", f"{name}: {key} names a variable that is not set", "export it"),
        (r"decryption failed|inappropriate ioctl",
         f"{name}: the password does not open {key}",
         "set it as SIGN_PASSWORD, or as COSIGN_PASSWORD in the environment"),
        (r"pem|unsupported", f"{name}: {key} is no {'private' if name == 'SIGN_KEY' else 'public'} key of cosign "
         "({words})", "`cosign generate-key-pair` makes a pair; `cosign import-key-pair` takes a key of openssl"),
    ):  # fmt: skip
        words = _last(text)
        if re.search(pattern, words, re.IGNORECASE):
            return InputError(message.format(words=words.rpartition(": ")[2]), hint)
    return None


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("error during command execution: ") if lines else "no message"


def judge(pinned: str, exit_code: int, output: str, errors: str, key: str) -> str:
    """Return what ``cosign verify`` said of an image: SIGNED, UNSIGNED, OTHER_KEY or OTHER_IMAGE.

    Raises InputError when the key cannot be read, and what the registry's fault is when it did not answer.
    """
    if exit_code == 0:
        return SIGNED if _is_of(output, pinned) else OTHER_IMAGE
    if exit_code == _NO_SIGNATURE:
        return UNSIGNED
    if exit_code == _NO_MATCH:
        return OTHER_IMAGE if _OF_ANOTHER.search(errors) else OTHER_KEY
    raise key_fault(errors, "VERIFY_KEY", key) or fault(errors, pinned).error()


def passing_fault(pinned: str, exit_code: int, errors: str) -> registry.RegistryFault | None:
    """Return the fault for which cosign may be asked again, None when its answer is final."""
    if exit_code in (0, _NO_SIGNATURE, _NO_MATCH) or key_fault(errors, "VERIFY_KEY", ""):
        return None
    registry_fault = fault(errors, pinned)
    return registry_fault if registry_fault.passing else None


def fault(errors: str, pinned: str) -> registry.RegistryFault:
    """Return the registry's fault that cosign reports."""
    if "x509:" in errors:
        host = registry.host(pinned)
        return registry.RegistryFault(
            f"registry {host}: its certificate is not trusted by cosign",
            f"put its CA into /etc/docker/certs.d/{host}/ca.crt on this machine",
        )
    return registry.explain(_last(errors), pinned)


def _is_of(output: str, pinned: str) -> bool:
    """Whether a signature is for this image in this repository; cosign itself compares only the digest.

    So an image that was signed for a service cannot be deployed as another service.
    """
    repository, _, digest = pinned.partition("@")
    try:
        signatures = [entry["critical"] for line in output.splitlines() if line.strip() for entry in json.loads(line)]
        named = {
            (signature["identity"]["docker-reference"], signature["image"]["docker-manifest-digest"])
            for signature in signatures
        }
    except (ValueError, KeyError, TypeError):
        return False
    return any(familiar(name) == familiar(repository) and signed == digest for name, signed in named)


def pinned_names(image: Image, reference: str) -> tuple[str, ...]:
    """Return an image's names by digest in the repository of a reference, as far as the engine knows."""
    repository = split_reference(reference)[0]
    digests = (name.partition("@") for name in image.digests)
    return tuple(f"{repository}@{digest}" for name, _, digest in digests if familiar(name) == familiar(repository))


@dataclass(frozen=True)
class Status:
    """What is known of the signature of an image: ``digest`` is "" when no registry has it."""

    services: tuple[str, ...]
    reference: str
    state: str
    digest: str = ""

    def fault(self, environment: str, built: bool) -> tuple[str, str]:
        """Return why it may not run, and how to fix that."""
        name = f"{self.reference} of {', '.join(self.services)}"
        option = f"--env {environment} --service {self.services[0]}"
        shown = registry.short_digest(self.digest)
        push, sign_ = f"inv image.push {option}", f"inv image.sign {option}"
        key = "sign it with the private key that belongs to VERIFY_KEY"
        return {
            UNSIGNED: (f"image {name} ({shown}) is not signed", f"{key}: {sign_}"),
            OTHER_KEY: (f"image {name} ({shown}) is signed by another key than VERIFY_KEY", f"{key}: {sign_}"),
            OTHER_IMAGE: (
                f"image {name} ({shown}) has the signature of another image",
                f"find out who put it there; if it was copied to this name on purpose, sign it anew: {sign_}",
            ),
            NOT_PUSHED: (
                f"image {name} was never pushed to its registry, and so cannot have a signature",
                f"with the registry's host in the image name: {push if built else 'push it, and ' + sign_}",
            ),
            ABSENT: (
                f"image {name} is not on the engine: what would be pulled when it starts is not known",
                f"inv image.pull {option}" if built else f"docker pull {self.reference}",
            ),
        }[self.state]

    def document(self) -> dict[str, object]:
        """Return the status as JSON data."""
        return {
            "services": list(self.services),
            "reference": self.reference,
            "digest": self.digest or None,
            "state": self.state,
            "signed": self.state == SIGNED,
        }


def signature_faults(
    profile: Profile, services: Mapping[str, Service], statuses: Iterable[Status], building: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """Return why images may not run, each with the way to fix it; empty when all are signed.

    ``building`` are the services whose image the deploy itself would build.
    """
    environment, names = profile.environment, ", ".join(building)
    faults = [
        (
            f"service {service.name} says pull_policy: {service.pull_policy}: it may start what was not verified",
            f"take pull_policy out, and run inv image.pull --env {environment} before a deploy",
        )
        for service in services.values()
        if service.pull_policy not in _LOCAL
    ]
    if names:
        faults.append(
            (
                f"{names}: the image would be built here, and what was never pushed has no signature",
                f"inv build --env {environment} --push where the key is, then inv image.pull --env {environment}; "
                "or PROMOTE_FROM",
            )
        )
    for status in statuses:
        if status.state != SIGNED and not (names and set(status.services) <= set(building)):
            faults.append(status.fault(environment, services[status.services[0]].build is not None))
    return tuple((f"{reason} (VERIFY_SIGNATURES)", hint) for reason, hint in faults)


def image_replaced(reference: str, verified: str, now: str) -> DeployError:
    """Return the error for a name that stands for another image than the verified image."""
    return DeployError(
        f"{reference} stands for {registry.short_digest(now) if now else 'nothing'} now, and not for "
        f"{registry.short_digest(verified)}, whose signature was verified",
        "the name was given to another image during the deploy: find out by whom, and deploy again",
    )


def cosign_missing() -> RefusedError:
    """Return the error for cosign that is not installed."""
    return RefusedError("cosign: command not found", "./inv setup installs it where a profile asks for signatures")
