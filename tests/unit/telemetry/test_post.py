"""JSON is posted to where somebody says, within its time, and what goes wrong is one line."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from store_server import Asked, serving

from tasks.model.errors import InputError, RefusedError
from tasks.telemetry.post import post_json


def test_a_document_is_posted_with_its_headers() -> None:
    with serving(lambda asked: (200, b"{}")) as server:
        post_json(f"http://127.0.0.1:{server.port}/v1/traces?x=1", {"a": [1]}, {"tenant": "b"}, 2.0)
    (asked,) = server.requests
    assert (asked.method, asked.path, json.loads(asked.body)) == ("POST", "/v1/traces", {"a": [1]})


def test_a_refusal_is_told_in_its_own_words_and_without_passwords() -> None:
    def answer(asked: Asked) -> tuple[int, bytes]:
        return 401, b"no such\ntenant"

    with serving(answer) as server, pytest.raises(RefusedError) as caught:
        post_json(f"http://me:secret@127.0.0.1:{server.port}/in?key=secret", {}, {}, 2.0)
    assert caught.value.message.startswith(f"http://127.0.0.1:{server.port}/in: HTTP status 401 ")
    assert "no such" in caught.value.message
    assert "secret" not in caught.value.message


def test_where_nothing_listens_that_is_told() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(RefusedError, match=f"http://127.0.0.1:{port}: .*refused"):
        post_json(f"http://127.0.0.1:{port}", {}, {}, 2.0)


@contextmanager
def silent() -> Iterator[int]:
    """Yield the port of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_server_that_is_silent_is_not_waited_for() -> None:
    began = time.monotonic()
    with silent() as port, pytest.raises(RefusedError, match=r"no answer within 0.3 s"):
        post_json(f"http://127.0.0.1:{port}", {}, {}, 0.3)
    assert time.monotonic() - began < 30  # without a limit it would wait for ever


@pytest.mark.parametrize("url", ["localhost:4318", "ftp://x", "http://", "http://x:99999999/"])
def test_what_is_no_address_is_bad_input(url: str) -> None:
    with pytest.raises(InputError):
        post_json(url, {}, {}, 1.0)
