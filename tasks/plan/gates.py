"""What a profile wants to be true before a deploy begins."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from .errors import InputError, RefusedError
from .profile import Profile
from .stack import Stack

TESTS, SCAN = EVIDENCE = ("tests", "scan")


@dataclass(frozen=True)
class Facts:
    """What the gates are judged by; of what no gate asks for nothing need be known.

    ``branches`` are the remote branches that hold the commit, ``tests`` is the run of tests that holds for these
    sources, "" when there is none; ``unwatched`` are services to be rolled out without a health check, ``mounted`` the
    files of this machine that services of a remote engine want, by service; ``moved`` is the commit that the checkout
    has gone to since its version was read; ``unsigned`` is why images may not run, each with its mend. ``scan`` is what
    is known of a scan of exactly the images to be deployed, and why there is nothing.
    """

    commit: str = ""
    dirty: bool = False
    branches: tuple[str, ...] = ()
    tests: str = ""
    unwatched: tuple[str, ...] = ()
    mounted: tuple[tuple[str, str], ...] = ()
    moved: str = ""
    unsigned: tuple[tuple[str, str], ...] = ()
    scan: tuple[str, str] = ("", "")


def evidence(profile: Profile) -> tuple[str, ...]:
    """Return the kinds of evidence that REQUIRE_EVIDENCE asks for; raises InputError for an unknown one."""
    wanted = profile.words("REQUIRE_EVIDENCE")
    for one in wanted:
        if one not in EVIDENCE:
            raise InputError(f"REQUIRE_EVIDENCE: no evidence is called {one!r}", f"there are: {', '.join(EVIDENCE)}")
    return wanted


def refuse_unmet(profile: Profile, facts: Facts) -> None:
    """Raise RefusedError that names every gate that is not met, and what to do about each."""
    found = unmet(profile, facts)
    if found:
        raise RefusedError(
            f"not deployed to {profile.environment}: {'; '.join(reason for reason, _ in found)}",
            "; ".join(dict.fromkeys(mend for _, mend in found)),
        )


def unmet(profile: Profile, facts: Facts) -> list[tuple[str, str]]:
    """Return every gate that is not met: the reason, and what to do about it."""
    found = []
    if profile.flag("REQUIRE_CLEAN") and (facts.dirty or not facts.commit):
        reason = "the checkout has uncommitted changes" if facts.commit else "this is no git checkout"
        found.append((f"{reason} (REQUIRE_CLEAN)", "commit or stash them"))
    if profile.flag("REQUIRE_CLEAN") and facts.moved:
        reason = f"the checkout went from commit {facts.commit[:7]} to {facts.moved[:7]} meanwhile (REQUIRE_CLEAN)"
        found.append((reason, "start again"))
    if profile.flag("REQUIRE_PUSHED") and not facts.branches:
        found.append((f"no remote branch has commit {facts.commit[:7] or 'none'} (REQUIRE_PUSHED)", "git push"))
    wanted = evidence(profile)
    if TESTS in wanted and not facts.tests:
        found.append(("no run of tests passed for these sources (REQUIRE_EVIDENCE)", "inv test"))
    if SCAN in wanted and not facts.scan[0]:
        source = profile.text("PROMOTE_FROM")  # what is promoted was built, and is scanned, there
        name = source or profile.environment
        mend = f"{'' if source else f'inv build --env {name} && '}inv scan.images --env {name}"
        found.append((f"{facts.scan[1] or 'no scan of the images passed'} (REQUIRE_EVIDENCE)", mend))
    if facts.unwatched:
        names = ", ".join(facts.unwatched)
        found.append(
            (
                f"{names}: rolled out without a health check, nobody would know whether the new containers work",
                "give the service a healthcheck, or say REQUIRE_HEALTHCHECK=false",
            )
        )
    for service, path in facts.mounted:
        found.append(
            (
                f"{service} mounts {path}, which is on this machine and not on the engine's",
                "bake it in, or name a path there",
            )
        )
    found += facts.unsigned
    return found


def mounted_from(stack: Stack, *directories: str) -> tuple[tuple[str, str], ...]:
    """Return what services mount from below directories of this machine: the service and the path."""
    found = []
    for service in stack.services.values():
        for path in (*service.binds, *stack.files(service).values()):
            if any(PurePosixPath(path).is_relative_to(one) for one in directories):
                found.append((service.name, path))
    return tuple(dict.fromkeys(found))
