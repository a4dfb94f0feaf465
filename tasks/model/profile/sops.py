"""Layers of a profile that SOPS has encrypted: dotenv files with their names in plain text, and what is wrong with one.

https://getsops.io/docs/ · exit codes: https://github.com/getsops/sops/blob/v3.13.3/cmd/sops/codes/codes.go
"""

import re

from ..errors import RefusedError
from ..lazy_pattern import lazy_pattern

KEY_FILE = "SOPS_AGE_KEY_FILE"
_NO_KEY, _MAC, _CHANGED, _NOT_INSTALLED = 128, 51, 25, 127  # exit codes of sops, and of a program that is not there
_ENCRYPTED = lazy_pattern(rb"^([A-Za-z_][A-Za-z0-9_]*)=ENC\[", re.MULTILINE)
_OWN = "sops_"  # what the names of its own lines begin with
_METADATA = lazy_pattern(rb"^sops_(?:mac|version)=", re.MULTILINE)
_RECIPIENT = lazy_pattern(rb"^sops_age__list_\d+__map_recipient=(age1\w+)\s*$", re.MULTILINE)
_DIGITS = 12  # of a recipient's name that people are shown


def is_encrypted(text: bytes) -> bool:
    """Whether SOPS has encrypted a dotenv file."""
    return _METADATA.search(text) is not None


def encrypted_keys(text: bytes) -> frozenset[str]:
    """Return the keys whose values are encrypted: SOPS leaves out what ``--unencrypted-suffix`` and the like name."""
    names = (name.decode() for name in _ENCRYPTED.findall(text))
    return frozenset(name for name in names if not name.startswith(_OWN))


def not_encrypted(shown: str) -> RefusedError:
    """Return the error for a file that has its secrets in plain text."""
    return RefusedError(
        f"{shown} is not encrypted", f"encrypt it: sops encrypt --age age1… --in-place {shown}; and change its secrets"
    )


def fault(shown: str, text: bytes, code: int, said: str, key_file: str) -> RefusedError:
    """Return the error for a file that SOPS did not decrypt, from its exit code and what it said.

    ``key_file`` is the file with the key, "" where none is named.
    """
    if code == _NOT_INSTALLED:
        return RefusedError(
            f"{shown} is encrypted, and sops is not installed", "install it: https://getsops.io/docs/#download"
        )
    if code in (_MAC, _CHANGED):
        return RefusedError(
            f"{shown} was changed without sops: its MAC is that of another content",
            f"bring it back (git checkout {shown}), and change it with: sops edit {shown}",
        )
    words = " ".join(re.sub(r"^[\s|-]+", "", line) for line in said.splitlines())
    if code == _NO_KEY:
        return _no_key(shown, text, words, key_file)
    return RefusedError(f"{shown}: sops: {_last(said)}", f"`sops decrypt {shown}` says more; it prints the secrets")


def _no_key(shown: str, text: bytes, words: str, key_file: str) -> RefusedError:
    wanted = ", ".join(f"{name.decode()[:_DIGITS]}…" for name in _RECIPIENT.findall(text))
    if not wanted:
        return RefusedError(
            f"{shown} is encrypted for no age key, and sops has no other key for it",
            f"add one: sops rotate --add-age age1… --in-place {shown}",
        )
    if "did not match any of the recipients" in words:
        where = f"that of {KEY_FILE} ({key_file}) is another one" if key_file else "sops has another one"
        return RefusedError(
            f"{shown} is encrypted for the age key {wanted}, and {where}",
            f"name the file of that key in {KEY_FILE}, or have yours added: sops rotate --add-age age1… {shown}",
        )
    if key_file:
        return RefusedError(f"{KEY_FILE}: {key_file} has no age key", "age-keygen makes such files")
    return RefusedError(
        f"{shown} is encrypted for the age key {wanted}, and there is no key here",
        f"name the file with that key in {KEY_FILE}",
    )


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
