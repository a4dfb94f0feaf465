"""Images and their registry: what to push, pull and promote, which tags may move, and what a failure means."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ...model.command import Command
from ...model.engine.facts import Image, RegistryImage
from ...model.errors import CommandError, InputError, RefusedError, SlipwayError
from ...model.lazy_pattern import lazy_pattern
from ...model.record import Record
from ...model.reference import split_reference
from ...model.secret import Secret
from ...model.stack.stack import Build, Service
from ...model.version import Version, tags

# An exact version, or a commit; a stage made for work may follow (rules: docs/versions.md).
_EXACT = lazy_pattern(r"(?:\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?|sha-[0-9a-f]{7,64}(?:-[A-Za-z0-9_.-]+)?)", re.ASCII)
# These are not built from a commit, so their content may change.
_NOT_EXACT = lazy_pattern(r".*-dirty(?:-.*)?|0\.0\.0-dev(?:-.*)?", re.ASCII)
_DIGEST = lazy_pattern(r"\bdigest: (sha256:[0-9a-f]{64})\b", re.IGNORECASE)
_PLATFORM = ("os", "architecture", "variant")
_SHOWN = 19  # "sha256:" and twelve characters, as `docker images` shows
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0  # seconds


def host(reference: str) -> str:
    """Return the registry that an image reference names, "" when it names none (as in ``team/app``).

    The rule is Docker's: https://docs.docker.com/reference/cli/docker/image/tag/#description
    """
    first, slash, _ = reference.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else ""


def exact(tag: str) -> bool:
    """Whether a tag may never move: an exact version or a commit, of a clean checkout."""
    return _EXACT.fullmatch(tag) is not None and _NOT_EXACT.fullmatch(tag) is None


def short_digest(digest: str) -> str:
    """Return a digest shortened for people: its first twelve characters."""
    return digest[:_SHOWN] or "unknown"


class RegistryFault(Record):
    """Why a request to a registry failed. ``passing``: it may succeed when tried again."""

    message: str
    hint: str
    passing: bool = False
    exit_code: int = RefusedError.exit_code

    def error(self) -> SlipwayError:
        """Return the error to raise: exit code 3 if something has to be fixed first, 1 if a transfer failed."""
        for kind in (InputError, RefusedError):
            if self.exit_code == kind.exit_code:
                return kind(self.message, self.hint)
        return CommandError(self.message, self.exit_code, self.hint)


# Faults by a pattern in the engine's message; the first match counts. {host}, {name} and {words} are filled in.
_FAULTS: tuple[tuple[str, RegistryFault], ...] = (
    (
        r"invalid reference format",
        RegistryFault(
            "{name} is not the name of an image", "correct it in the Compose file or the profile", exit_code=2
        ),
    ),
    (
        r"credentials store error|error getting credentials|docker-credential-",
        RegistryFault(
            "Docker's credential helper does not answer for {host}",
            "install the helper that credsStore or credHelpers of Docker's config.json names, or correct it there",
        ),
    ),
    (
        r"no space left on device|quota|insufficient storage|\b507\b",
        RegistryFault(
            "registry {host} has no space for {name}", "free space there, or ask for a larger quota", exit_code=1
        ),
    ),
    (
        r"x509:|certificate|server gave HTTP response to HTTPS client",
        RegistryFault(
            "registry {host}: its certificate is not trusted by the engine ({words})",
            "put its CA into /etc/docker/certs.d/{host}/ca.crt on the engine's host, or name a registry without TLS in "
            "insecure-registries of daemon.json (Buildx, which copies manifest lists, has settings of its own)",
        ),
    ),
    (
        r"no basic auth credentials",
        RegistryFault("registry {host} wants a login, and there is none", "docker login {host}"),
    ),
    (
        r"name unknown|name_unknown|repository .*(?:does not exist|not found)|project .*not found",
        RegistryFault("registry {host} has no repository for {name}", "create it there, or correct the image name"),
    ),
    (
        r"denied|forbidden|insufficient_scope|\b403\b",
        RegistryFault(
            "registry {host} denies access to {name}",
            "log in with an account that has access: docker login {host}; the repository may also not exist",
        ),
    ),
    (
        r"unauthorized|incorrect username|authentication required|\b401\b",
        RegistryFault(
            "registry {host} does not accept the credentials for {name}", "log in again: docker login {host}"
        ),
    ),
    (
        r"an image does not exist locally|no such image",
        RegistryFault("image {name} is not on the engine", "build it, or pull it first"),
    ),
    (
        r"manifest unknown|not found: manifest|manifest for .* not found|does not resolve to|: not found",
        RegistryFault("registry {host} has no image {name}", "push it first: inv image.push"),
    ),
    (
        r"no such host",
        RegistryFault(
            "registry {host}: there is no such host", "correct the host in the image name, or the name service"
        ),
    ),
    (
        r"toomanyrequests|too many requests|\b429\b",
        RegistryFault("registry {host} limits the rate of requests", "try again later", passing=True, exit_code=1),
    ),
    (
        r"connection refused|connection reset|no route to host|network is unreachable|broken pipe|\beof\b|"
        r"timed? ?out|deadline exceeded|timeout exceeded|temporary failure|no answer within|connection closed",
        RegistryFault(
            "registry {host} is not reachable ({words})",
            "check that it is running, and that the engine's host reaches it",
            passing=True,
            exit_code=1,
        ),
    ),
    (
        r"\b5\d\d\b|internal server error|bad gateway|service unavailable|unknown: unknown error",
        RegistryFault(
            "registry {host} failed at {name} ({words})",
            "its log says why; a disk that is full or read-only looks like this",
            passing=True,
            exit_code=1,
        ),
    ),
)


def explain(text: str, reference: str) -> RegistryFault:
    """Return what a failure means, from what the engine (or ``docker``) printed about an image reference."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1] if lines else "no message"
    # Only the words after the URL: our message names the registry and the image already.
    words = last.rpartition('": ')[2].removeprefix("Error response from daemon: ")
    values = {"host": host(reference) or "docker.io", "name": reference, "words": words}
    for pattern, fault in _FAULTS:
        if re.search(pattern, last.replace(reference, ""), re.IGNORECASE):
            # The engine itself tries each layer five times before it reports the registry's answer.
            tried = "unexpected HTTP status" in last and "Retrying in" in text
            return RegistryFault(
                fault.message.format(**values),
                fault.hint.format(**values),
                fault.passing and not tried,
                fault.exit_code,
            )
    return RegistryFault(
        f"registry {values['host']}: {words}",
        "the message is the engine's; the registry's log may say more",
        exit_code=1,
    )


def wait(attempt: int) -> float:
    """Return how long to wait before a further attempt (the first is 1), in seconds: 1, 2, 4, … up to 30."""
    return min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (attempt - 1))


def digest(output: str) -> str:
    """Return the digest that ``docker push`` or ``docker pull`` reports, "" when it reports none."""
    digests = _DIGEST.findall(output)
    return str(digests[-1]) if digests else ""


def config_digest(manifest: str) -> str:
    """Return the digest of the configuration in a manifest (JSON), "" when it is not that of a single image."""
    try:
        return str(json.loads(manifest)["config"]["digest"])
    except (ValueError, KeyError, TypeError):
        return ""


def platform_digests(manifest: str) -> dict[str, str]:
    """Return the image digests of a manifest list (JSON) by platform, without attestations."""
    try:
        entries = json.loads(manifest)["manifests"]
        pairs = [
            ("/".join(str(entry["platform"].get(key, "")) for key in _PLATFORM), entry["digest"]) for entry in entries
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {platform: str(value) for platform, value in pairs if not platform.startswith("unknown/")}


class Named(Record):
    """An image of the stack and all its full references, exact tags first.

    So a moving tag never names an image whose exact tag was refused.
    """

    services: tuple[str, ...]
    reference: str
    references: tuple[str, ...]
    pinned: str = ""  # the digest that the Compose file names, if it does

    @property
    def repository(self) -> str:
        """The image's repository, without tag."""
        return split_reference(self.reference)[0]


def named(service: str, reference: str, carried: Iterable[tuple[str, str]], build: Build) -> Named:
    """Return the image of a service, with the tags in ``carried`` and those that its build section adds."""
    repository, _ = split_reference(reference)
    names = dict.fromkeys((*(f"{repository}:{tag}" for tag, _ in carried), *(build.extra.get("tags") or ())))
    ordered = tuple(sorted(names, key=lambda name: not exact(split_reference(name)[1])))
    name, _, pinned = reference.partition("@")
    return Named((service,), ":".join(split_reference(name)), ordered, pinned)


def of_service(service: Service, built: Version) -> Named:
    """Return the image of a service with every reference that a build would give it now."""
    build = service.recipe()
    return named(service.name, service.image, tags(built, split_reference(service.image)[1], build.target), build)


def images(candidates: Iterable[Named], environment: str) -> tuple[Named, ...]:
    """Return the images without duplicates, each with all its services.

    Raises RefusedError when an image reference names no registry, InputError when there is no image.
    """
    unique: dict[str, Named] = {}
    for image in candidates:
        if not host(image.reference):
            raise RefusedError(
                f"image {image.reference} of service {image.services[0]} names no registry (environment {environment})",
                "begin the image name with the registry's host, as in registry.example.com/team/app "
                "(docker.io/team/app for Docker Hub)",
            )
        earlier = unique.get(image.reference)
        unique[image.reference] = replace(image, services=(*(earlier.services if earlier else ()), *image.services))
    if not unique:
        raise InputError(
            "no service of the project has a build section",
            "only the images of services with a build section are pushed to a registry",
        )
    return tuple(unique.values())


def refuse_pinned(reference: str, environment: str) -> None:
    """Raise RefusedError for a reference with a digest: that name cannot be given to other content."""
    if "@" in reference:
        raise RefusedError(
            f"image {reference} is pinned to a digest (environment {environment})",
            "take the digest out of the image name in the Compose file",
        )


def require_built(wanted: Sequence[Named], local: Mapping[str, Image], environment: str) -> None:
    """Raise RefusedError for an image that is not on the engine, or lacks a tag that a build would give it now."""
    for image in wanted:
        refuse_pinned(f"{image.reference}@{image.pinned}" if image.pinned else "", environment)
        built = local.get(image.reference)
        missing = [name for name in image.references if built is None or name not in built.tags]
        if built is None:
            raise RefusedError(
                f"image {image.reference} of service {image.services[0]} is not built yet",
                f"inv build --env {environment} --service {image.services[0]}",
            )
        if missing:
            raise RefusedError(
                f"image {image.reference} does not carry {', '.join(split_reference(name)[1] for name in missing)}: "
                "it was built from another state of the checkout",
                f"inv build --env {environment} --service {image.services[0]}",
            )


def is_same(image: Image, repository: str, remote: RegistryImage) -> bool:
    """Whether a local image is what a registry has, as far as the engine knows: it has pushed or pulled it before."""
    return image.id == remote.digest or f"{repository}@{remote.digest}" in image.digests


def local_digest(image: Image, repository: str) -> str:
    """Return a local image's shortened digest in the repository, or its ID when it was never pushed there."""
    digests = [digest.partition("@")[2] for digest in image.digests if digest.startswith(f"{repository}@")]
    return short_digest(digests[-1]) if digests else f"{short_digest(image.id)} (image ID, not pushed yet)"


def refuse_other_content(reference: str, there: str, here: str) -> RefusedError:
    """Return the error for an exact tag that the registry has with other content; it names both digests."""
    tag = split_reference(reference)[1]
    return RefusedError(
        f"{reference}: the registry has {tag} as {short_digest(there)}, and this image is {here}; "
        "an exact tag keeps its content",
        "commit and build a new version, or use the image that is there: inv image.pull",
    )


def push(reference: str, env: Mapping[str, str | Secret], cwd: str) -> Command:
    """Return the command that pushes a tag."""
    return Command(("docker", "push", reference), env=env, cwd=cwd)


def pull(reference: str, env: Mapping[str, str | Secret], cwd: str) -> Command:
    """Return the command that pulls an image."""
    return Command(("docker", "pull", reference), env=env, cwd=cwd)


def tag(source: str, reference: str, env: Mapping[str, str | Secret], cwd: str) -> Command:
    """Return the command that gives a local image a further name."""
    return Command(("docker", "tag", source, reference), env=env, cwd=cwd)


def copy(source: str, references: Sequence[str], env: Mapping[str, str | Secret], cwd: str) -> Command:
    """Return the command that gives a manifest list in a registry further names; its digest stays.

    For lists only: Buildx 0.13 would wrap a single manifest in a list, which has another digest.
    """
    names = [word for reference in references for word in ("-t", reference)]
    return Command(("docker", "buildx", "imagetools", "create", *names, source), env=env, cwd=cwd)


def raw_list(reference: str, env: Mapping[str, str | Secret], cwd: str) -> Command:
    """Return the command that prints a manifest list, with the registry settings of Buildx, which pushed it."""
    return Command(("docker", "buildx", "imagetools", "inspect", "--raw", reference), env=env, cwd=cwd, timeout=60)


def manifest(reference: str, insecure: bool, env: Mapping[str, str | Secret], cwd: str) -> Command:
    """Return the command that prints a manifest."""
    flag = ("--insecure",) if insecure else ()
    return Command(("docker", "manifest", "inspect", *flag, reference), env=env, cwd=cwd, timeout=60)


class PromotionMove(Record):
    """An image that a promotion gives another name: ``digest`` is the registry's, or the local image's id."""

    service: str
    source: str
    target: str
    digest: str
    list_: bool = False

    def commands(self, env: Mapping[str, str | Secret], cwd: str) -> tuple[Command, ...]:
        """Return the commands that give the same content the target name; nothing is built."""
        origin, goal = host(self.source), host(self.target)
        pinned = f"{split_reference(self.source)[0]}@{self.digest}" if origin else self.source
        if origin and goal and self.list_:
            return (copy(pinned, (self.target,), env, cwd),)
        return (
            *((pull(pinned, env, cwd),) if origin else ()),
            tag(pinned, self.target, env, cwd),
            *((push(self.target, env, cwd),) if goal else ()),
        )
