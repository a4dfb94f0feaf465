"""Verifies who signed a commit or a tag, by git and by the keys of the agent's own configuration."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..host.runner import capture
from ..model.command import Command
from ..model.errors import InputError
from ..model.record import Record
from ..model.version import version_tags_by_commit
from .clone import Clone
from .configuration import Configuration
from .plan import signature
from .plan.decision import short
from .plan.signature import GPG, SSH, SignedObject

_SECONDS = 60.0
HINT = "sign it (git commit -S) with a key that the agent allows"


class Candidate(Record):
    """The commit that is to be deployed, and why it may not be (``refusal``, "" for a verified one)."""

    commit: str
    refusal: str = ""
    hint: str = ""
    signer: str = ""


def candidate(clone: Clone, config: Configuration) -> Candidate:
    """Return the commit that is to be deployed: the newest, or with GITOPS_VERIFY=tag that of the newest tag."""
    if config.by_tag:
        return _tagged(clone, config)
    tip = clone.tip()
    signed = signature.parse_commit(clone.raw("commit", tip))
    why, who = _verified(clone, config, signed, ("verify-commit", "--raw", tip))
    return Candidate(tip, f"commit {short(tip)} is not deployed: {why}" if why else "", HINT if why else "", who)


def _tagged(clone: Clone, config: Configuration) -> Candidate:
    by_commit = version_tags_by_commit(clone.annotated_tags(), config.tag_prefix)
    commit = clone.newest(frozenset(by_commit))
    if not commit:
        tip = clone.tip()
        return Candidate(tip, "no annotated version tag is on the branch", "tag a commit: git tag -s v1.2.3")
    name = by_commit[commit]
    signed = signature.parse_tag(clone.raw("tag", f"refs/tags/{name}"))
    why, who = _verified(clone, config, signed, ("verify-tag", "--raw", f"refs/tags/{name}"))
    if not why and (signed.name, signed.target) != (name, commit):
        why = f"its signature is that of tag {signed.name} of {short(signed.target)}"
    refusal = f"tag {name} ({short(commit)}) is not deployed: {why}" if why else ""
    return Candidate(commit, refusal, "sign it (git tag -s) with a key that the agent allows" if why else "", who)


def _verified(clone: Clone, config: Configuration, signed: SignedObject, words: tuple[str, ...]) -> tuple[str, str]:
    """Return why an object is not verified, "" when it is, and who signed it."""
    accepted = tuple(kind for kind, keys in ((SSH, config.signers), (GPG, config.gpg_keys)) if keys)
    if why := signature.unmet(signed, accepted, time.time()):
        return why, ""
    options = signature.trust(signed.kind, str(config.signers or ""))
    with _key_ring(config.gpg_keys if signed.kind == GPG else None) as home:
        result = clone.run(*options, *words, env={"GNUPGHOME": home} if home else None)
    if result.exit_code:
        return signature.fault(result.stderr), ""
    if signed.kind == SSH and (why := _expired(signed, config)):
        return why, ""
    return "", signature.signer(result.stderr)


def _expired(signed: SignedObject, config: Configuration) -> str:
    """Return why a good SSH signature does not count today, "" when it does.

    git verifies it for the time at which the commit says that it was made, which who has an old key can choose.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "signature")
        path.write_text(signed.signature.rstrip("\n") + "\n", encoding="utf-8")
        words = ("ssh-keygen", "-Y", "find-principals", "-s", str(path), "-f", str(config.signers))
        result = capture(Command(words, env={"LC_ALL": "C"}, stdin="", timeout=_SECONDS))
    return signature.fault(result.stderr) if result.exit_code or not result.stdout.strip() else ""


@contextmanager
def _key_ring(keys: Path | None) -> Iterator[str]:
    """Yield the home of a key ring with these OpenPGP keys and no others, "" without any."""
    if keys is None:
        yield ""
        return
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        home.chmod(0o700)
        words = ("gpg", "--homedir", directory, "--batch", "--quiet", "--no-autostart", "--import", str(keys))
        result = capture(Command(words, env={"LC_ALL": "C"}, stdin="", timeout=_SECONDS))
        if result.exit_code:
            lines = result.stderr.strip().splitlines() or ["no message"]
            raise InputError(f"GITOPS_GPG_KEYS: {keys}: {lines[-1]}", "export the keys: gpg --armor --export NAME")
        yield directory
