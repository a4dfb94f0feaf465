"""Signatures of commits and tags: what they are in git's objects, and how git is told whom to trust.

Nothing of the user's own trust counts: neither keys in their key ring, nor signers that their configuration names.
"""

import re

from ...model.lazy_pattern import lazy_pattern
from ...model.record import Record

SSH, GPG, X509, SEVERAL = "ssh", "gpg", "x509", "several"
_BEGINS = {
    "-----BEGIN SSH SIGNATURE-----": SSH,
    "-----BEGIN PGP SIGNATURE-----": GPG,
    "-----BEGIN PGP MESSAGE-----": GPG,
}
_SIGNATURES = ("gpgsig", "gpgsig-sha256")
_TIME = lazy_pattern(r"> (\d{1,12}) [+-]\d{4}\Z", re.ASCII)
_AHEAD = 600  # seconds by which the clocks of an author and of the agent may differ
_GOOD = lazy_pattern(r'Good "git" signature for (\S+) with|^\[GNUPG:\] GOODSIG \S+ (.+)$', re.MULTILINE)


class SignedObject(Record):
    """A commit or an annotated tag: its signature ("" for none), of which kind, and when it was made, in seconds.

    ``target`` and ``name`` are what a tag says that it tags and is called.
    """

    signature: str = ""
    kind: str = ""
    made: int = 0
    target: str = ""
    name: str = ""


def parse_commit(raw: str) -> SignedObject:
    """Return what is known of a commit from ``git cat-file commit``."""
    headers = _headers(raw)
    signature = next((headers[key] for key in _SIGNATURES if key in headers), "")
    # Of several signatures git and ssh-keygen need not take the same one.
    several = len(re.findall(r"^gpgsig(?:-sha256)? ", raw.partition("\n\n")[0], re.MULTILINE)) > 1
    return SignedObject(signature, SEVERAL if several else _kind(signature), _time(headers.get("committer", "")))


def parse_tag(raw: str) -> SignedObject:
    """Return what is known of an annotated tag from ``git cat-file tag``: its signature ends its message."""
    headers = _headers(raw)
    at = min((raw.find(f"\n{begin}") for begin in _BEGINS if f"\n{begin}" in raw), default=-1)
    signature = raw[at + 1 :] if at >= 0 else ""
    target = headers.get("object", "") if headers.get("type") == "commit" else ""
    return SignedObject(signature, _kind(signature), _time(headers.get("tagger", "")), target, headers.get("tag", ""))


def _headers(raw: str) -> dict[str, str]:
    """Return the headers of an object; lines that go on begin with a blank."""
    headers: dict[str, str] = {}
    key = ""
    for line in raw.partition("\n\n")[0].split("\n"):
        if line.startswith(" ") and key:
            headers[key] += f"\n{line[1:]}"
            continue
        key, _, value = line.partition(" ")
        if key in headers:  # a commit has several parents, and only those
            key = ""
            continue
        headers[key] = value
    return headers


def _kind(signature: str) -> str:
    begin = signature.lstrip().partition("\n")[0]
    return _BEGINS.get(begin, X509 if signature else "")


def _time(person: str) -> int:
    found = _TIME.search(person)
    return int(found[1]) if found else 0


def trust(kind: str, signers: str) -> tuple[str, ...]:
    """Return the options by which git verifies one kind of signature, with these allowed signers, and no other kind.

    For OpenPGP the keys are those of GNUPGHOME in its environment.
    """
    programs = {"gpg.ssh.program": "ssh-keygen", "gpg.openpgp.program": "gpg", "gpg.x509.program": "false"}
    if kind != SSH:
        programs["gpg.ssh.program"] = "false"
    if kind != GPG:
        programs["gpg.openpgp.program"] = "false"
    settings = {
        **programs,
        "gpg.program": programs["gpg.openpgp.program"],
        "gpg.ssh.allowedSignersFile": signers if kind == SSH else "/dev/null",
        "gpg.minTrustLevel": "undefined",
    }
    return tuple(word for key, value in settings.items() for word in ("-c", f"{key}={value}"))


def unmet(signed: SignedObject, accepted: tuple[str, ...], now: float) -> str:
    """Return why a signature cannot be good, before it is verified; "" when it may be.

    ``accepted`` are the kinds that keys are configured for.
    """
    if not signed.signature:
        return "it is not signed"
    if signed.kind not in accepted:
        key = {SSH: "GITOPS_ALLOWED_SIGNERS", GPG: "GITOPS_GPG_KEYS"}.get(signed.kind)
        return f"it is signed with {signed.kind}, and {key} is not set" if key else "it has a signature of another kind"
    if signed.made > now + _AHEAD:
        hours = (signed.made - now) / 3600
        return f"it is dated {hours:.1f} h in the future: the clock of its author or that of this machine is wrong"
    return ""


def signer(said: str) -> str:
    """Return who has signed, from what git said about a good signature, "" when it named nobody."""
    found = _GOOD.search(said)
    return (found[1] or found[2]) if found else ""


def fault(said: str) -> str:
    """Return why git did not accept a signature, in a few words."""
    if "has expired" in said or "EXPKEYSIG" in said or "EXPSIG" in said:
        return "the key that signed it has expired"
    if "not yet valid" in said:
        return "the key that signed it is not valid yet"
    if "REVKEYSIG" in said or "revoked" in said.lower():
        return "the key that signed it was revoked"
    if "No principal matched" in said or "NO_PUBKEY" in said:
        return "the key that signed it is none of those allowed"
    if "incorrect signature" in said.lower() or "BADSIG" in said:
        return "its signature is of another content"
    return "its signature is not valid"
