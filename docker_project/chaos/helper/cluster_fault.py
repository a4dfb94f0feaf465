"""Makes a fault on a cluster, keeps its time, and undoes it: what the Job of `inv chaos.inject` runs on Kubernetes.

It depends on nobody: the fault ends also when the one who asked for it is killed. SIGTERM ends it early. What it
changes gets a mark: when this program is killed itself, the kubelet, or the Job on another node, starts it again; it
finds the mark, and only undoes the fault. It exits with 0 when nothing of the fault is left, whether it was made or
could not be.
"""

import argparse
import json
import os
import signal
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
MARK, BEFORE = "slipway.chaos/fault", "slipway.chaos/before"
IN_EFFECT, OVER, FAILED = "in effect", "over", "failed:"
NOTHING = {"policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []}
_TRIES, _PAUSE = 60, 1.0  # to undo a fault while the API server is away; seconds between two


class FaultError(Exception):
    """The fault cannot be made here; the text says why."""


class AwayError(FaultError):
    """The API server does not answer."""


class Ended(BaseException):
    """SIGTERM: the fault is to end now."""


class Api:
    """The API server, asked with the rights of the Job."""

    def ask(self, method: str, path: str, body: object = None, kind: str = "merge-patch") -> Any:
        """Return what it answers, None for what does not exist; raises FaultError when it refuses.

        429 is True: an eviction that a budget does not allow now.
        """
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        url = f"https://[{host}]:{port}{path}" if ":" in host else f"https://{host}:{port}{path}"
        headers = {"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = f"application/{kind}+json" if method == "PATCH" else "application/json"
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - https, see above
        context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
        try:
            with urllib.request.urlopen(asked, timeout=10, context=context) as answer:  # noqa: S310
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode(errors="replace")
            if error.code in (404, 429):
                return None if error.code == 404 else True
            if error.code >= 500:
                raise AwayError(f"the API server answers {error.code}") from None
            raise FaultError(f"the API server refused: {_message(text)}") from None
        except OSError as error:
            raise AwayError(f"the API server does not answer: {error}") from None


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip()[:200]


class Drain:
    """No new Pod gets to a node, and those of the project leave it; undone: new ones get there again."""

    def __init__(self, api: Api, given: argparse.Namespace) -> None:
        self._api, self._mark = api, given.mark
        self._node = f"/api/v1/nodes/{given.target}"
        chosen = {"fieldSelector": f"spec.nodeName={given.target}", "labelSelector": given.selector}
        self._namespace = f"/api/v1/namespaces/{given.namespace}/pods"
        self._pods = f"{self._namespace}?{urllib.parse.urlencode(chosen)}"

    def marked(self) -> bool:
        """Whether the node has the mark of this fault."""
        return bool(_annotations(self._api.ask("GET", self._node)).get(MARK) == self._mark)

    def begin(self) -> None:
        node = self._api.ask("GET", self._node)
        if node is None:
            raise FaultError("the node is gone")
        if node["spec"].get("unschedulable"):
            raise FaultError("the node takes no Pods already: somebody else has cordoned it")
        about = {"annotations": {MARK: self._mark}, "resourceVersion": node["metadata"]["resourceVersion"]}
        self._api.ask("PATCH", self._node, {"metadata": about, "spec": {"unschedulable": True}})
        self._evict()

    def _evict(self) -> None:
        for pod in (self._api.ask("GET", self._pods) or {}).get("items", ()):
            about = pod["metadata"]
            owners = {owner["kind"] for owner in about.get("ownerReferences", ())}
            if about.get("deletionTimestamp") or "DaemonSet" in owners:
                continue
            metadata = {"name": about["name"], "namespace": about["namespace"]}
            eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
            self._api.ask("POST", f"{self._namespace}/{about['name']}/eviction", eviction)

    def last(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(_PAUSE, left))
            try:
                self._evict()  # those that a budget kept until others were ready elsewhere
            except AwayError:
                continue

    def end(self) -> None:
        if self.marked():
            self._api.ask(
                "PATCH", self._node, {"metadata": {"annotations": {MARK: None}}, "spec": {"unschedulable": None}}
            )


class Cut:
    """The policy of a service admits nothing and lets nothing out; undone: what it said before."""

    def __init__(self, api: Api, given: argparse.Namespace) -> None:
        self._api, self._mark, self._name = api, given.mark, given.target
        self._labels = dict(pair.split("=", 1) for pair in given.selector.split(","))
        self._policies = f"/apis/networking.k8s.io/v1/namespaces/{given.namespace}/networkpolicies"
        self._pods = f"/api/v1/namespaces/{given.namespace}/pods?" + urllib.parse.urlencode(
            {"labelSelector": given.selector}
        )

    def marked(self) -> bool:
        """Whether the policy has the mark of this fault."""
        return bool(_annotations(self._policy()).get(MARK) == self._mark)

    def _policy(self) -> Any:
        return self._api.ask("GET", f"{self._policies}/{self._name}")

    def begin(self) -> None:
        policy = self._policy()
        if policy is None:
            raise FaultError(
                "the service has no network policy: it uses the network of its node, or was not deployed by us"
            )
        if MARK in _annotations(policy):
            raise FaultError("another fault has changed its network policy")
        self._refuse_others()
        about = {
            "annotations": {MARK: self._mark, BEFORE: json.dumps(policy["spec"])},
            "resourceVersion": policy["metadata"]["resourceVersion"],
        }
        self._api.ask("PATCH", f"{self._policies}/{self._name}", {"metadata": about, "spec": NOTHING})

    def _refuse_others(self) -> None:
        """Raise FaultError for a policy that lets traffic through all the same: policies add up."""
        pods = (self._api.ask("GET", self._pods) or {}).get("items", ())
        for policy in (self._api.ask("GET", self._policies) or {}).get("items", ()):
            name, spec = policy["metadata"]["name"], policy["spec"]
            opens = spec.get("ingress") or spec.get("egress")
            if name != self._name and opens and any(_selects(spec.get("podSelector") or {}, pod) for pod in pods):
                raise FaultError(f"the network policy {name} lets its traffic through as well")

    def last(self, seconds: float) -> None:
        time.sleep(seconds)

    def end(self) -> None:
        policy = self._policy()
        about = _annotations(policy)
        if about.get(MARK) != self._mark:
            return
        patch: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": policy["metadata"]["resourceVersion"]},
            *({"op": "remove", "path": f"/metadata/annotations/{name.replace('/', '~1')}"} for name in (MARK, BEFORE)),
        ]
        spec = policy["spec"]
        if not spec.get("ingress") and not spec.get("egress"):  # else a deploy has written it anew
            patch.append({"op": "replace", "path": "/spec", "value": json.loads(about[BEFORE])})
        self._api.ask("PATCH", f"{self._policies}/{self._name}", patch, "json-patch")


def _annotations(raw: Any) -> dict[str, str]:
    return (raw or {}).get("metadata", {}).get("annotations") or {}


def _selects(selector: dict[str, Any], pod: dict[str, Any]) -> bool:
    """Whether a selector is about a Pod; one with expressions is taken to be."""
    known = pod["metadata"].get("labels") or {}
    return all(known.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())


def carry_out(wanted: "Drain | Cut", seconds: float) -> None:
    """Make a fault, wait and undo it; or only undo it when this program was killed before it had done so."""
    if seconds <= 0 or wanted.marked():
        say("started again")
        undone(wanted)
        say(OVER)
        return
    try:
        wanted.begin()
        say(IN_EFFECT)
        wanted.last(seconds)
    except FaultError as error:
        say(f"{FAILED} {error}")
    except Ended:
        say("told to end")
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        undone(wanted)
    say(OVER)


def undone(wanted: "Drain | Cut") -> None:
    """Undo a fault, as often as it takes while the API server is away or somebody else writes the same object."""
    for attempt in range(1, _TRIES + 1):
        try:
            wanted.end()
            return
        except FaultError:
            if attempt == _TRIES:
                raise
            time.sleep(_PAUSE)


def say(line: str) -> None:
    """Tell who reads the log of this Pod."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _end(_number: int, _frame: FrameType | None) -> None:
    raise Ended


def main(words: Sequence[str], api: Api) -> int:
    """Run the program and return its exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("fault", choices=["drain", "cut"])
    parser.add_argument("--seconds", type=float, required=True)
    for name in ("--mark", "--namespace", "--target", "--selector"):
        parser.add_argument(name, required=True)
    given = parser.parse_args(words)
    signal.signal(signal.SIGTERM, _end)
    try:
        carry_out((Drain if given.fault == "drain" else Cut)(api, given), given.seconds)
    except FaultError as error:
        say(f"{FAILED} {error}")
        return 1
    except Ended:
        return 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], Api()))
