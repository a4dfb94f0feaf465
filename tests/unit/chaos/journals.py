"""Journals as chaos.run and Chaos Toolkit write them."""

from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 11, 29, 14, 5, tzinfo=UTC)


def at(seconds: float) -> str:
    """Return a time of the journal."""
    return (START + timedelta(seconds=seconds)).isoformat()


def inv(*arguments: str, name: str = "do it") -> dict[str, Any]:
    """Return an action that runs one of our tasks."""
    return {
        "type": "action",
        "name": name,
        "provider": {"type": "process", "path": "inv", "arguments": list(arguments)},
    }


def done(activity: dict[str, Any], begin: float, seconds: float, **more: Any) -> dict[str, Any]:
    """Return what a journal has of an activity."""
    return {"activity": activity, "output": {"status": 0, "stdout": "", "stderr": ""}, "start": at(begin),
            "end": at(begin + seconds), "duration": seconds, "status": "succeeded", **more}  # fmt: skip


def samples(seconds: int, failing: range, status: int = 503) -> list[list[Any]]:
    """Return a sample for each second: as tolerated, 20 ms; while ``failing`` another status after 5 s."""
    return [
        [n, 5.0 if n in failing else 0.02, status if n in failing else 200, n not in failing] for n in range(seconds)
    ]


def journal(*run: dict[str, Any], measured: list[list[Any]] | None = None, **more: Any) -> dict[str, Any]:
    """Return a journal of 60 s with a cut of ten seconds from 12 s on, unless a test says otherwise."""
    cut = inv("chaos.inject", "cut", "--service", "database", "--for", "10s", "--env", "${env}")
    extension = {"name": "slipway", "start": at(0), "every": 1, "unsent": 0, "environment": "test",
                 "measured": [{"probe": "rows", "samples": measured or []}]}  # fmt: skip
    return {
        "chaoslib-version": "slipway", "platform": "Linux", "node": "here", "start": at(0), "end": at(60),
        "duration": 60.0, "status": "completed", "deviated": False,
        "experiment": {"title": "The database is cut", "description": "Clients get 503.", "method": [],
                       "configuration": {"env": {"type": "env", "key": "SLIPWAY_ENV"}}},
        "steady_states": {"before": None, "after": None, "during": []},
        "run": list(run) or [done(cut, 10, 2)],
        "rollbacks": [done(inv("chaos.stop", "--env", "${env}"), 58, 1)],
        **({"extensions": [extension]} if measured is not None else {}), **more,
    }  # fmt: skip
