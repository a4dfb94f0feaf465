"""Does what an activity of an experiment asks for: a request by HTTP, a process, or Python code in a process."""

import json
import os
import ssl
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..host.runner import Pending, start
from ..model.command import Command
from ..model.errors import CommandError, SlipwayError
from .plan.experiment import HTTP, PROCESS, Activity, words

_TIMEOUT = 30.0  # seconds, of a request that names none
_BODY = 1 << 20  # bytes of an answer that are read
# The function's result as JSON on the last line; what the code prints goes before.
_CALL = """
import importlib, json, sys
module, name, arguments = sys.argv[1:]
result = getattr(importlib.import_module(module), name)(**json.loads(arguments))
print()
print(json.dumps(result, default=str))
"""


class ActivityFailedError(SlipwayError):
    """An activity could not be done, or did not end in time."""


class Providers:
    """Carries activities out, several threads at once; ``environment`` is added to that of processes."""

    def __init__(self, environment: Mapping[str, str], cwd: str) -> None:
        # `inv` is the one that runs this, also where it is not on the PATH.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        self._environment, self._cwd = {**environment, "PATH": path}, cwd
        self._running: list[Pending] = []
        self._ended = threading.Event()

    def act(self, activity: Activity) -> Any:
        """Return what an activity gives; raises ActivityFailedError when it cannot be done."""
        provider = activity["provider"]
        if provider["type"] == HTTP:
            return request(provider)
        if provider["type"] == PROCESS:
            return self._process(words(provider), provider.get("timeout"))
        given = json.dumps(provider.get("arguments") or {})
        argv = (sys.executable, "-c", _CALL, str(provider["module"]), str(provider["func"]), given)
        done = self._process(argv, provider.get("timeout"))
        if done["status"]:
            raise ActivityFailedError((done["stderr"].strip().splitlines() or ["no message"])[-1])
        return json.loads(done["stdout"].rstrip("\n").rpartition("\n")[2])

    def _process(self, argv: tuple[str, ...], timeout: Any) -> dict[str, Any]:
        limit = float(timeout) if timeout else None
        pending = start(Command(argv, env=self._environment, cwd=self._cwd, timeout=limit))
        self._running.append(pending)
        if self._ended.is_set():
            pending.end(wait=False)  # the thread that waits for its result gets it
        try:
            done = pending.result()
        except CommandError:
            raise ActivityFailedError("process activity took too long to complete") from None
        finally:
            self._running.remove(pending)
        return {"status": done.exit_code, "stdout": done.stdout, "stderr": done.stderr}

    def end(self) -> None:
        """End the processes that other threads wait for."""
        self._ended.set()
        for pending in tuple(self._running):
            pending.end(wait=False)  # the thread that waits for its result gets it

    def go_on(self) -> None:
        """Let processes be started again after ``end``, for rollbacks."""
        self._ended.clear()


class _Unredirected(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def request(provider: Mapping[str, Any]) -> dict[str, Any]:
    """Return status, headers and body of a request; raises ActivityFailedError without an answer."""
    url, method = str(provider["url"]), str(provider.get("method") or "GET").upper()
    headers = {str(key): str(value) for key, value in (provider.get("headers") or {}).items()}
    arguments, data = provider.get("arguments"), None
    if arguments and method == "GET":
        url += ("&" if "?" in url else "?") + urllib.parse.urlencode(arguments, doseq=True)
    elif arguments:
        as_json = headers.get("Content-Type") == "application/json"
        text = json.dumps(arguments) if as_json else arguments if isinstance(arguments, str) else ""
        data = (text or urllib.parse.urlencode(arguments, doseq=True)).encode()
    if not url.startswith(("http://", "https://")):
        raise ActivityFailedError(f"{url}: is no address of HTTP")
    timeout = provider.get("timeout") or _TIMEOUT
    seconds = float(max(timeout) if isinstance(timeout, list) else timeout)
    asked = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - http or https, see above
    # No proxy of the environment: what is asked is the stack.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), *_secured(url, provider.get("verify_tls") is not False), _Unredirected()
    )
    try:
        with opener.open(asked, timeout=seconds) as answer:
            return _answer(answer)
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error)
    except TimeoutError:
        raise ActivityFailedError("activity took too long to complete") from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        slow = isinstance(reason, TimeoutError)
        said = "activity took too long to complete" if slow else f"failed to connect to {url}: {reason}"
        raise ActivityFailedError(said) from None


def _secured(url: str, verified: bool) -> tuple[urllib.request.HTTPSHandler, ...]:
    """Return what speaks TLS, nothing for other addresses: loading the authorities takes longer than a request."""
    if not url.startswith("https://"):
        return ()
    context = ssl.create_default_context()
    if not verified:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return (urllib.request.HTTPSHandler(context=context),)


def _answer(answer: Any) -> dict[str, Any]:
    text = answer.read(_BODY).decode(errors="replace")
    headers = dict(answer.headers.items())
    body: Any = text
    if str(headers.get("Content-Type", "")).startswith("application/json"):
        try:
            body = json.loads(text)
        except ValueError:
            body = text
    return {"status": answer.status, "headers": headers, "body": body}
