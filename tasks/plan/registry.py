"""Images and their registry: what to push, pull and promote, which tags may move, and what a failure means."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from .build import Target, split_reference
from .command import Command
from .errors import CommandError, InputError, RefusedError, SlipwayError
from .facts import Image, Remote
from .profile import Profile
from .secret import Secret
from .stack import Build, Service
from .version import Version, tags

# An exact version, or a commit; a stage made for work may follow (rules: README, "Versions and tags").
_EXACT = re.compile(r"(?:\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?|sha-[0-9a-f]{7,64}(?:-[A-Za-z0-9_.-]+)?)", re.ASCII)
# No commit stands behind these, so their content is not the same for ever.
_NOT_EXACT = re.compile(r".*-dirty(?:-.*)?|0\.0\.0-dev(?:-.*)?", re.ASCII)
_DIGEST = re.compile(r"\bdigest: (sha256:[0-9a-f]{64})\b", re.IGNORECASE)
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
    """Whether a tag names one content for ever: an exact version or a commit, of a clean checkout."""
    return _EXACT.fullmatch(tag) is not None and _NOT_EXACT.fullmatch(tag) is None


def shown(digest: str) -> str:
    """Return a digest as people compare it: the first twelve characters."""
    return digest[:_SHOWN] or "unknown"


@dataclass(frozen=True)
class Fault:
    """Why a registry did not do what was asked. A ``passing`` one may be gone when it is tried again."""

    message: str
    hint: str
    passing: bool = False
    exit_code: int = RefusedError.exit_code

    def error(self) -> SlipwayError:
        """Return the error to raise: exit code 3 where something has to be mended first, 1 where a transfer failed."""
        for kind in (InputError, RefusedError):
            if self.exit_code == kind.exit_code:
                return kind(self.message, self.hint)
        return CommandError(self.message, self.exit_code, self.hint)


# What the engine says, by the words that only this fault has; the first that fits counts. {host}, {name} are filled in.
_FAULTS: tuple[tuple[str, Fault], ...] = (
    (
        r"invalid reference format",
        Fault("{name} is not the name of an image", "correct it in the Compose file or the profile", exit_code=2),
    ),
    (
        r"credentials store error|error getting credentials|docker-credential-",
        Fault(
            "Docker's credential helper does not answer for {host}",
            "install the helper that credsStore or credHelpers of Docker's config.json names, or correct it there",
        ),
    ),
    (
        r"no space left on device|quota|insufficient storage|\b507\b",
        Fault("registry {host} has no space for {name}", "free space there, or ask for a larger quota", exit_code=1),
    ),
    (
        r"x509:|certificate|server gave HTTP response to HTTPS client",
        Fault(
            "registry {host}: its certificate is not trusted by the engine ({words})",
            "put its CA into /etc/docker/certs.d/{host}/ca.crt on the engine's host, or name a registry without TLS in "
            "insecure-registries of daemon.json (Buildx, which copies manifest lists, has settings of its own)",
        ),
    ),
    (
        r"no basic auth credentials",
        Fault("registry {host} wants a login, and there is none", "docker login {host}"),
    ),
    (
        r"name unknown|name_unknown|repository .*(?:does not exist|not found)|project .*not found",
        Fault("registry {host} has no repository for {name}", "create it there, or correct the image name"),
    ),
    (
        r"denied|forbidden|insufficient_scope|\b403\b",
        Fault(
            "registry {host} denies access to {name}",
            "log in as somebody who may: docker login {host}; the repository may also not exist",
        ),
    ),
    (
        r"unauthorized|incorrect username|authentication required|\b401\b",
        Fault("registry {host} does not accept the credentials for {name}", "log in again: docker login {host}"),
    ),
    (
        r"an image does not exist locally|no such image",
        Fault("image {name} is not on the engine", "build it, or pull it first"),
    ),
    (
        r"manifest unknown|not found: manifest|manifest for .* not found|does not resolve to|: not found",
        Fault("registry {host} has no image {name}", "push it first: inv image.push"),
    ),
    (
        r"no such host",
        Fault("registry {host}: there is no such host", "correct the host in the image name, or the name service"),
    ),
    (
        r"toomanyrequests|too many requests|\b429\b",
        Fault("registry {host} wants fewer requests", "try again later", passing=True, exit_code=1),
    ),
    (
        r"connection refused|connection reset|no route to host|network is unreachable|broken pipe|\beof\b|"
        r"timed? ?out|deadline exceeded|timeout exceeded|temporary failure|no answer within|connection closed",
        Fault(
            "registry {host} is not reachable ({words})",
            "is it running, and does the engine's host reach it?",
            passing=True,
            exit_code=1,
        ),
    ),
    (
        r"\b5\d\d\b|internal server error|bad gateway|service unavailable|unknown: unknown error",
        Fault(
            "registry {host} failed at {name} ({words})",
            "its log says why; a disk that is full or read-only looks like this",
            passing=True,
            exit_code=1,
        ),
    ),
)


def explain(text: str, reference: str) -> Fault:
    """Return what a failure means, from the words of the engine (or of ``docker``) about one image reference."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1] if lines else "no message"
    # The words after the address, which repeats what the line says already.
    words = last.rpartition('": ')[2].removeprefix("Error response from daemon: ")
    values = {"host": host(reference) or "docker.io", "name": reference, "words": words}
    for pattern, fault in _FAULTS:
        if re.search(pattern, last.replace(reference, ""), re.IGNORECASE):
            # The engine tries each layer five times by itself, and then reports the registry's answer.
            tried = "unexpected HTTP status" in last and "Retrying in" in text
            return Fault(
                fault.message.format(**values),
                fault.hint.format(**values),
                fault.passing and not tried,
                fault.exit_code,
            )
    return Fault(f"registry {values['host']}: {words}", "the words are the engine's", exit_code=1)


def wait(attempt: int) -> float:
    """Return how long to wait before a further attempt (the first is 1), in seconds: 1, 2, 4, … up to 30."""
    return min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (attempt - 1))


def digest(output: str) -> str:
    """Return the digest that ``docker push`` or ``docker pull`` reports, "" when it reports none."""
    found = _DIGEST.findall(output)
    return str(found[-1]) if found else ""


def config_digest(manifest: str) -> str:
    """Return the digest of the configuration that a manifest (JSON) names, "" when it is no manifest of one image."""
    try:
        return str(json.loads(manifest)["config"]["digest"])
    except (ValueError, KeyError, TypeError):
        return ""


def platform_digests(manifest: str) -> dict[str, str]:
    """Return the images of a manifest list (JSON) by platform, without what is no image, such as attestations."""
    try:
        entries = json.loads(manifest)["manifests"]
        pairs = [("/".join(str(one["platform"].get(key, "")) for key in _PLATFORM), one["digest"]) for one in entries]
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {platform: str(value) for platform, value in pairs if not platform.startswith("unknown/")}


@dataclass(frozen=True)
class Named:
    """One image of the stack and every full reference that it carries; exact ones first.

    So a moving tag never names what its exact version was refused for.
    """

    services: tuple[str, ...]
    reference: str
    references: tuple[str, ...]
    pinned: str = ""  # the digest that the Compose file names, if it does

    @property
    def repository(self) -> str:
        """The image's repository, without tag."""
        return split_reference(self.reference)[0]


def _named(service: str, reference: str, carried: Iterable[tuple[str, str]], build: Build) -> Named:
    repository, _ = split_reference(reference)
    every = dict.fromkeys((*(f"{repository}:{one}" for one, _ in carried), *(build.extra.get("tags") or ())))
    ordered = tuple(sorted(every, key=lambda one: not exact(split_reference(one)[1])))
    name, _, pinned = reference.partition("@")
    return Named((service,), ":".join(split_reference(name)), ordered, pinned)


def of_service(service: Service, built: Version) -> Named:
    """Return the image of a service with every reference that a build would give it now."""
    build = service.recipe()
    return _named(service.name, service.image, tags(built, split_reference(service.image)[1], build.target), build)


def of_target(target: Target) -> Named:
    """Return the image that a build makes of a target."""
    return _named(target.service, target.reference, target.tags, target.build)


def images(found: Iterable[Named], environment: str) -> tuple[Named, ...]:
    """Return images, each once; raises RefusedError when an image reference names no registry."""
    once: dict[str, Named] = {}
    for one in found:
        if not host(one.reference):
            raise RefusedError(
                f"image {one.reference} of service {one.services[0]} names no registry (environment {environment})",
                "begin the image name with the registry's host, as in registry.example.com/team/app "
                "(docker.io/team/app for Docker Hub)",
            )
        earlier = once.get(one.reference)
        once[one.reference] = replace(one, services=(*(earlier.services if earlier else ()), *one.services))
    if not once:
        raise InputError(
            "no service of the project has a build section", "only images that are built are in a registry"
        )
    return tuple(once.values())


def refuse_pinned(reference: str, environment: str) -> None:
    """Raise RefusedError for a reference with a digest: no other content can be given that name."""
    if "@" in reference:
        raise RefusedError(
            f"image {reference} is pinned to a digest (environment {environment})",
            "take the digest out of the image name in the Compose file",
        )


def require_built(wanted: Sequence[Named], local: Mapping[str, Image], environment: str) -> None:
    """Raise RefusedError for images that are not on the engine, or lack a tag that a build would give them now."""
    for one in wanted:
        refuse_pinned(f"{one.reference}@{one.pinned}" if one.pinned else "", environment)
        found = local.get(one.reference)
        missing = [name for name in one.references if found is None or name not in found.tags]
        if found is None:
            raise RefusedError(
                f"image {one.reference} of service {one.services[0]} is not built yet",
                f"inv build --env {environment} --service {one.services[0]}",
            )
        if missing:
            raise RefusedError(
                f"image {one.reference} does not carry {', '.join(split_reference(name)[1] for name in missing)}: "
                "it was built from another state of the checkout",
                f"inv build --env {environment} --service {one.services[0]}",
            )


def same(image: Image, repository: str, remote: Remote) -> bool:
    """Whether a local image is what a registry has, as far as the engine knows: it has pushed or pulled it before."""
    return image.id == remote.digest or f"{repository}@{remote.digest}" in image.digests


def local_digest(image: Image, repository: str) -> str:
    """Return what a local image is called: its digest in the repository, or its ID while it was never pushed there."""
    known = [one.partition("@")[2] for one in image.digests if one.startswith(f"{repository}@")]
    return shown(known[-1]) if known else f"{shown(image.id)} (image ID, not pushed yet)"


def refuse_other_content(reference: str, there: str, here: str) -> RefusedError:
    """Return the refusal to put other content under an exact tag; both digests are named."""
    tag = split_reference(reference)[1]
    return RefusedError(
        f"{reference}: the registry has {tag} as {shown(there)}, and this image is {here}; "
        "an exact tag keeps its content",
        "commit and build a new version, or use the image that is there: inv image.pull",
    )


def environment(profile: Profile) -> dict[str, str | Secret]:
    """Return what ``docker`` reads from a profile: the engine, and where its logins are."""
    return {key: value for key, value in profile.compose_env().items() if key.startswith(("DOCKER_", "BUILDX_"))}


def push(reference: str, env: Mapping[str, str | Secret], cwd: str) -> Command:
    """Return the command that pushes one tag."""
    return Command(("docker", "push", reference), env=env, cwd=cwd)


def pull(reference: str, env: Mapping[str, str | Secret], cwd: str) -> Command:
    """Return the command that pulls one image."""
    return Command(("docker", "pull", reference), env=env, cwd=cwd)


def tag(source: str, reference: str, env: Mapping[str, str | Secret], cwd: str) -> Command:
    """Return the command that gives a local image one more name."""
    return Command(("docker", "tag", source, reference), env=env, cwd=cwd)


def copy(source: str, references: Sequence[str], env: Mapping[str, str | Secret], cwd: str) -> Command:
    """Return the command that gives a manifest list more names inside of registries; its digest stays.

    For a list only: around a single manifest Buildx 0.13 would put a list of one, which is another digest.
    """
    names = [word for one in references for word in ("-t", one)]
    return Command(("docker", "buildx", "imagetools", "create", *names, source), env=env, cwd=cwd)


def raw_list(reference: str, env: Mapping[str, str | Secret], cwd: str) -> Command:
    """Return the command that prints a manifest list as Buildx, which has pushed it, finds it."""
    return Command(("docker", "buildx", "imagetools", "inspect", "--raw", reference), env=env, cwd=cwd, timeout=60)


def manifest(reference: str, insecure: bool, env: Mapping[str, str | Secret], cwd: str) -> Command:
    """Return the command that prints a manifest."""
    flag = ("--insecure",) if insecure else ()
    return Command(("docker", "manifest", "inspect", *flag, reference), env=env, cwd=cwd, timeout=60)


@dataclass(frozen=True)
class Move:
    """One image that a promotion gives another name: ``digest`` is the registry's, or the local image's id."""

    service: str
    source: str
    target: str
    digest: str
    list_: bool = False

    def commands(self, env: Mapping[str, str | Secret], cwd: str) -> tuple[Command, ...]:
        """Return what gives the target name to the very same content; nothing is built."""
        origin, goal = host(self.source), host(self.target)
        pinned = f"{split_reference(self.source)[0]}@{self.digest}" if origin else self.source
        if origin and goal and self.list_:
            return (copy(pinned, (self.target,), env, cwd),)
        return (
            *((pull(pinned, env, cwd),) if origin else ()),
            tag(pinned, self.target, env, cwd),
            *((push(self.target, env, cwd),) if goal else ()),
        )
