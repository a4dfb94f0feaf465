"""A journal without secrets: what an experiment saw may have quoted some."""

from collections.abc import Callable, Mapping
from typing import Any

from ...model.secret import MASK, is_secret_name, url_passwords

_HEADERS = {"authorization", "proxy-authorization", "cookie", "set-cookie"}
_DIGITS = 6  # of a number that may be a secret; a status or a duration has fewer


def masked(value: Any, mask: Callable[[str], str]) -> Any:
    """Return a part of a journal with each text in it masked: JSON that is masked as a whole may be none any more.

    ``mask`` masks the secrets that are known. What is called as secrets are (a header, a variable), and the passwords
    of URLs, are masked as well.
    """
    if isinstance(value, str):
        text = mask(value)
        for password in url_passwords(text):
            text = text.replace(f":{password}@", f":{MASK}@")
        return text
    if isinstance(value, Mapping):
        return {str(masked(key, mask)): _member(str(key), item, mask) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item, mask) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool) and len(str(value)) >= _DIGITS:
        return MASK if mask(str(value)) == MASK else value
    return value


def _member(key: str, value: Any, mask: Callable[[str], str]) -> Any:
    named = key.lower() in _HEADERS or is_secret_name(key.replace("-", "_"))
    return MASK if named and isinstance(value, str | int) and value not in ("", True, False) else masked(value, mask)
