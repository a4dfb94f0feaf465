"""Where a rollout that is paused leads the proxy back to: what served before it."""

from typing import Any

import pytest
from support import desired

from tasks.model.stack.upstream import ProxyTarget
from tasks.reconcile import proxy_operations
from tasks.reconcile.plan.operation import POINT, Operation
from tasks.reconcile.proxy_operations import ProxyOperations

FIRST = [ProxyTarget((), coming=("a",)), ProxyTarget(("a",))]
ANNOUNCED = ProxyTarget(("a",), coming=("b",))
WATCHED = ProxyTarget(("b",), ("a",))
SHARED = ProxyTarget(("a",), canaries=("b",), share=5)


@pytest.mark.parametrize(
    ("aims", "back"),
    [
        (FIRST[:1], None),
        (FIRST, ("a",)),
        ([*FIRST, ANNOUNCED], ("a",)),
        ([*FIRST, ANNOUNCED, WATCHED], ("a",)),
        ([ANNOUNCED, SHARED], ("a",)),
        ([ANNOUNCED, WATCHED, ProxyTarget(("b",))], ("b",)),
    ],
    ids=["announced only", "first", "ready", "watched", "canary", "the next batch"],
)
def test_a_paused_rollout_leads_back_to_what_served_before_it(
    aims: list[ProxyTarget], back: tuple[str, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    led: list[ProxyTarget] = []

    def lead(*words: Any) -> list[Any]:
        led.append(words[5])
        return []

    monkeypatch.setattr(proxy_operations, "lead_proxy", lead)
    monkeypatch.setattr(proxy_operations, "wait_until_drained", lambda *_: None)
    operations: Any = ProxyOperations
    monkeypatch.setattr(operations, "_front", lambda _: object())

    class Thread:
        project = None

    own: Any = ProxyOperations(Thread(), None, desired({}).stack)  # type: ignore[arg-type]
    for aim in aims:
        own.point(Operation(POINT, "web", aim=aim))
    own.back("web")
    assert led[len(aims) :] == ([] if back is None else [ProxyTarget(back)])
