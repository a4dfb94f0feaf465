"""Which web addresses a Compose file may name."""

import pytest

from tasks.model.address import parse
from tasks.model.errors import InputError


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("http://web/", "web", 80, "/"),
        ("https://web", "web", 443, "/"),
        ("https://localhost:8443/a?b=c&d", "localhost", 8443, "/a?b=c&d"),
        ("http://[::1]:8080/x", "::1", 8080, "/x"),
    ],
)
def test_an_address_is_taken_apart(text: str, host: str, port: int, path: str) -> None:
    address = parse(text, "here")
    assert (address.host, address.port, address.path) == (host, port, path)


@pytest.mark.parametrize(
    "text",
    ["", "web", "ftp://web/", "http://user@web/", "http://web:0/", "http://web:99999/", "http://web/a b",
     "http://web/#part", "http://web@evil.example/", "http://web\n/", "http://", 7, None, "HTTP://web/",
     "http://web:80:80/", "http://web\\@evil/"],
)  # fmt: skip
def test_what_could_lead_elsewhere_is_refused(text: object) -> None:
    with pytest.raises(InputError, match=r"here: expected an address"):
        parse(text, "here")


def test_an_address_is_shown_as_it_was_written() -> None:
    assert [str(parse(text, "")) for text in ("https://web:443/x", "http://[::1]:81/")] == [
        "https://web/x",
        "http://[::1]:81/",
    ]
