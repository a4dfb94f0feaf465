"""The gates of a deploy: what a profile requires before it begins."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ...model.errors import InputError, RefusedError
from ...model.profile.profile import Profile
from ...model.record import Record
from ...model.stack.stack import Stack

TESTS, SCAN = EVIDENCE = ("tests", "scan")


@dataclass(frozen=True)
class GateFacts:
    """The facts that the gates are judged by; a fact that no gate asks for keeps its default.

    ``branches`` are the remote branches that contain the commit, ``tests`` is the last passing run of the tests for
    these sources, "" when there is none; ``unwatched`` are services to be rolled out without a health check,
    ``mounted`` the files of this machine that services of a remote engine mount, by service; ``moved`` is the commit of
    the checkout when it is another than the version was read from; ``unsigned`` are the faults of signatures, each with
    a hint; ``hidden`` is the same of smoke checks that the maintenance page would answer. ``scan`` is the evidence of a
    scan of exactly the images to be deployed, and the reason when there is none.
    """

    commit: str = ""
    dirty: bool = False
    branches: tuple[str, ...] = ()
    tests: str = ""
    unwatched: tuple[str, ...] = ()
    mounted: tuple[tuple[str, str], ...] = ()
    moved: str = ""
    unsigned: tuple[tuple[str, str], ...] = ()
    hidden: tuple[tuple[str, str], ...] = ()
    scan: tuple[str, str] = ("", "")


class RolledOut(Record):
    """What a deploy to a cluster rolls out: the services whose Pods nothing would show to be well, and all images.

    ``images`` are by service, as the Pods name them: ``repository@digest`` of those that are pinned.
    """

    unwatched: tuple[str, ...] = ()
    images: Mapping[str, str] = field(default_factory=dict)


def evidence(profile: Profile) -> tuple[str, ...]:
    """Return the kinds of evidence that REQUIRE_EVIDENCE asks for; raises InputError for an unknown one."""
    wanted = profile.words("REQUIRE_EVIDENCE")
    for kind in wanted:
        if kind not in EVIDENCE:
            raise InputError(f"REQUIRE_EVIDENCE: unknown evidence {kind!r}", f"choose from: {', '.join(EVIDENCE)}")
    return wanted


def refuse_unmet(profile: Profile, facts: GateFacts) -> None:
    """Raise RefusedError that names every gate that is not met, and what to do about each."""
    _refuse(profile, unmet(profile, facts))


def refuse_unwatched(profile: Profile, services: tuple[str, ...]) -> None:
    """Raise RefusedError where services are rolled out without a health check and the profile requires one."""
    if profile.flag("REQUIRE_HEALTHCHECK"):
        _refuse(profile, _unwatched(services))


def _refuse(profile: Profile, faults: list[tuple[str, str]]) -> None:
    if faults:
        raise RefusedError(
            f"not deployed to {profile.environment}: {'; '.join(reason for reason, _ in faults)}",
            "; ".join(dict.fromkeys(hint for _, hint in faults)),
        )


def unmet(profile: Profile, facts: GateFacts) -> list[tuple[str, str]]:
    """Return every gate that is not met: the reason, and what to do about it."""
    faults = []
    if profile.flag("REQUIRE_CLEAN") and (facts.dirty or not facts.commit):
        reason = "the checkout has uncommitted changes" if facts.commit else "this is no git checkout"
        faults.append((f"{reason} (REQUIRE_CLEAN)", "commit or stash them"))
    if profile.flag("REQUIRE_CLEAN") and facts.moved:
        reason = f"the checkout went from commit {facts.commit[:7]} to {facts.moved[:7]} meanwhile (REQUIRE_CLEAN)"
        faults.append((reason, "start the deploy again"))
    if profile.flag("REQUIRE_PUSHED") and not facts.branches:
        faults.append((f"no remote branch has commit {facts.commit[:7] or 'none'} (REQUIRE_PUSHED)", "git push"))
    wanted = evidence(profile)
    if TESTS in wanted and not facts.tests:
        faults.append(("no run of tests passed for these sources (REQUIRE_EVIDENCE)", "inv test"))
    if SCAN in wanted and not facts.scan[0]:
        source = profile.text("PROMOTE_FROM")  # a promoted image is built and scanned there
        name = source or profile.environment
        hint = f"{'' if source else f'inv build --env {name} && '}inv scan.images --env {name}"
        faults.append((f"{facts.scan[1] or 'no scan of the images passed'} (REQUIRE_EVIDENCE)", hint))
    faults += _unwatched(facts.unwatched)
    for service, path in facts.mounted:
        faults.append(
            (
                f"{service} mounts {path}, which is on this machine and not on the engine's",
                "copy the file into the image, or mount a path of the engine's machine",
            )
        )
    return [*faults, *facts.unsigned, *facts.hidden]


def _unwatched(services: tuple[str, ...]) -> list[tuple[str, str]]:
    if not services:
        return []
    names = ", ".join(services)
    return [
        (
            f"{names}: rolled out without a health check, so nothing would show whether new containers work",
            "give the service a healthcheck, or set REQUIRE_HEALTHCHECK=false",
        )
    ]


def mounted_from(stack: Stack, *directories: str) -> tuple[tuple[str, str], ...]:
    """Return what services mount from directories of this machine, or below: the service and the path."""
    mounts = []
    for service in stack.services.values():
        for path in (*service.binds, *stack.files(service).values()):
            if any(PurePosixPath(path).is_relative_to(directory) for directory in directories):
                mounts.append((service.name, path))
    return tuple(dict.fromkeys(mounts))
