"""`inv deploy.plan` ÷ what one does by hand to see the same: `docker compose config` and `docker compose ps`."""

from typing import Any

from tests.bench.measure import Figure, by_hand, hand_environment, pairs, sample_stack, seconds
from tests.e2e.support import Sample


def figure(sample: Sample, name: str, **values: Any) -> Figure:
    """Measure and return the figure of a running stack; ``values`` are what is otherwise than when it was deployed."""
    hand, env = hand_environment(sample), sample.environment(**values)
    plan = sample.json("deploy.plan", **values)
    assert any(change["action"] != "unchanged" for change in plan["changes"]) is bool(values), plan["changes"]
    ours, theirs = pairs(
        lambda: seconds(sample.command("deploy.plan"), env),
        lambda: by_hand(sample, hand, "config") + by_hand(sample, hand, "ps", "--all"),
        9,
    )
    return Figure(f"{name} ÷ compose config + compose ps", ours, theirs, 1.5)


def run() -> list[Figure]:
    """Measure and return the figures: with nothing to do, and with a change of which the plan tells the cause."""
    with sample_stack("planning") as sample:
        sample.inv("deploy.dev")
        return [
            figure(sample, "deploy.plan with nothing to do"),
            figure(sample, "deploy.plan with a change", LOG_LEVEL="warn"),
        ]


if __name__ == "__main__":
    for measured in run():
        print(measured.line())
