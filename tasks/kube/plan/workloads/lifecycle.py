"""How a container is stopped, and what is called when it starts and ends.

A Pod that goes is told to stop at the same time as its address is taken out of the Services, and for a moment still
gets requests. So where a Pod goes while others serve, a container first waits (``preStop``, the kubelet's own sleep,
for which the image needs no program), and that time is added to the one it has to stop.

Kubernetes sends the signal that the image names (STOPSIGNAL), else SIGTERM. Another one is sent before that by a shell,
which waits until the first process has ended, and the container with it.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
"""

import math
from collections.abc import Mapping
from typing import Any

from ....model.stack.stack import Service, unescaped
from ..mounts.claims import of_its_own
from ..outcome import KeyOutcome, inferred, refused, translated
from ..part import Part
from ..source import ImageFacts, KubeSource
from . import rollout
from .kinds import DAEMON_SET, DEPLOYMENT, NOTHING, kind
from .words import plain

KEYS = frozenset({"stop_signal", "stop_grace_period", "pre_stop", "post_start"})
DRAIN = 5
"""Seconds until every node and every proxy has heard that an address is gone."""
_USUAL = "SIGTERM"
_HOOKS = {"post_start": "postStart", "pre_stop": "preStop"}


def part(source: KubeSource, service: Service) -> Part:
    """Return how the containers of a service are stopped; refused where nothing can send its signal."""
    made = kind(source, service)
    if made == NOTHING:
        return Part()
    raw, where = unescaped(source.raw(service.name)), f"services.{service.name}"
    handlers, outcomes = _handlers(raw, where)
    wait = DRAIN if _others_serve(source, service, made) and not of_its_own(source, service) else 0
    if service.stop_signal:
        outcomes.append(_signal(service, source.image(service.name), f"{where}.stop_signal", handlers, wait))
    if wait and "preStop" not in handlers:
        handlers["preStop"] = {"sleep": {"seconds": wait}}
        reason = f"a container waits {wait} s until no request comes any more, before it is told to stop"
        outcomes.append(inferred(where, "lifecycle.preStop", reason))
    if raw.get("stop_grace_period"):
        outcomes.append(translated(f"{where}.stop_grace_period", "terminationGracePeriodSeconds"))
    grace = math.ceil(service.stop_grace_period) + wait
    container = {"lifecycle": handlers} if handlers else {}
    return Part(container=container, pod={"terminationGracePeriodSeconds": grace}, outcomes=tuple(outcomes))


def _others_serve(source: KubeSource, service: Service, made: str) -> bool:
    """Whether other Pods take the requests when one goes: new ones, or those that are replaced after it."""
    if made == DEPLOYMENT:
        return bool(rollout.strategy(source, service)["type"] == "RollingUpdate")
    return made == DAEMON_SET and rollout.new_first(source, service)


def _signal(service: Service, image: ImageFacts, key: str, handlers: dict[str, Any], wait: int) -> KeyOutcome:
    """Return what became of another signal; where the image has a shell, that sends it and waits for the end."""
    wanted, sent = _name(service.stop_signal), _name(image.stop_signal or _USUAL)
    if wanted == sent:
        return translated(key, "the image's STOPSIGNAL")
    reason = f"the container would get {sent}: Kubernetes takes the signal from the image"
    if not image.shell or "preStop" in handlers:
        unknown = "build or pull the image: a shell in it can send the signal; or " if image.shell is None else ""
        return refused(key, reason, f"{unknown}write STOPSIGNAL {wanted} into the Dockerfile", "KUBE-STOP-SIGNAL")
    first = f"sleep {wait}; " if wait else ""
    script = f"{first}kill -{wanted.removeprefix('SIG')} 1; while kill -0 1; do sleep 1; done"
    handlers["preStop"] = {"exec": {"command": ["/bin/sh", "-c", script]}}
    return inferred(key, "lifecycle.preStop", f"{reason}; so a shell in the container sends {wanted}")


def _name(signal: str) -> str:
    return signal if signal.startswith("SIG") or signal.isdigit() else f"SIG{signal}"


def _handlers(raw: Mapping[str, Any], where: str) -> tuple[dict[str, Any], list[KeyOutcome]]:
    handlers: dict[str, Any] = {}
    outcomes = []
    for key, into in _HOOKS.items():
        hooks = raw.get(key) or []
        special = [
            name for hook in hooks for name in ("user", "privileged", "environment", "working_dir") if hook.get(name)
        ]
        if len(hooks) > 1 or special:
            reason = f"{into} is one command, as the container's user and in its environment"
            outcomes.append(refused(f"{where}.{key}", reason, "put what has to be done into one program of the image"))
        elif hooks:
            # The kubelet replaces no $(NAME) in these: pkg/kubelet/lifecycle/handlers.go
            handlers[into] = {"exec": {"command": plain(hooks[0]["command"])}}
            outcomes.append(translated(f"{where}.{key}", f"lifecycle.{into}"))
    return handlers, outcomes
