"""Requests while an experiment runs: sent at their times, whatever becomes of those before."""

import threading
import time
from typing import Any

import pytest

from tasks.chaos.measure import Measuring
from tasks.chaos.plan.experiment import Experiment, read
from tasks.chaos.providers import ActivityFailedError
from tasks.model.errors import InputError

SERVED = {"status": 200, "headers": {}, "body": ""}


def probe(name: str, **provider: Any) -> dict[str, Any]:
    provider = {"type": "http", "url": "http://${web}/", "timeout": 3, **provider}
    return {"type": "probe", "name": name, "tolerance": 200, "provider": provider}


def experiment(*probes: dict[str, Any], **more: Any) -> Experiment:
    hypothesis = {"title": "S", "probes": list(probes)}
    whole = {"title": "T", "description": "D", "method": [], "steady-state-hypothesis": hypothesis}
    return read({**whole, "configuration": {"web": "172.18.0.3"}, **more}, "t", {})


def measured(seconds: float, one: Experiment, ask: Any) -> dict[str, Any]:
    with Measuring(one, ask) as measuring:
        time.sleep(seconds)
    return measuring.document()


def test_the_requests_of_the_hypothesis_are_sent_four_times_a_second() -> None:
    asked = []

    def ask(provider: Any) -> Any:
        asked.append((provider["url"], provider["timeout"]))
        return {**SERVED, "status": 503 if len(asked) == 2 else 200}

    document = measured(0.6, experiment(probe("rows")), ask)
    assert asked == [("http://172.18.0.3/", 3.0)] * 3
    [series] = document["measured"]
    assert [sample[2:] for sample in series["samples"]] == [[200, True], [503, False], [200, True]]
    assert [round(sample[0] * 4) for sample in series["samples"]] == [0, 1, 2]


def test_one_that_gets_no_answer_holds_up_no_other_and_counts_as_failed() -> None:
    first, never = threading.Event(), threading.Event()

    def ask(_: Any) -> Any:
        if not first.is_set():
            first.set()
            never.wait(5)
        raise ActivityFailedError("failed to connect")

    began = time.monotonic()
    document = measured(0.6, experiment(probe("rows")), ask)
    assert time.monotonic() - began < 2.5, "an answer that is under way is not waited for at the end"
    assert [sample[2:] for sample in document["measured"][0]["samples"]] == [[0, False]] * 3
    never.set()


def test_only_what_changes_nothing_is_sent_again_and_again() -> None:
    asked: list[Any] = []
    process = {**probe("count"), "provider": {"type": "process", "path": "true"}}
    one = experiment(probe("write", method="post"), process)
    assert measured(0.1, one, asked.append)["measured"] == [] and asked == []
    off = experiment(probe("rows"), extensions=[{"name": "slipway", "measure": False}])
    assert measured(0.1, off, asked.append)["measured"] == [] and asked == []


def test_an_experiment_may_want_more_of_them() -> None:
    asked: list[Any] = []
    one = experiment(probe("rows"), extensions=[{"name": "slipway", "measure": 100}])
    measured(1.0, one, lambda provider: asked.append(provider) or SERVED)
    assert 20 < len(asked) <= 101


@pytest.mark.parametrize("rate", [0, -1, 501, "200", None])
def test_a_rate_that_is_none_is_refused(rate: object) -> None:
    with pytest.raises(InputError, match="extensions: measure: is false, or how many requests a second, at most 500"):
        experiment(probe("rows"), extensions=[{"name": "slipway", "measure": rate}])
