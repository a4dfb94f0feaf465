"""How an experiment goes: what is done when the hypothesis is not met, an action fails, or somebody stops it."""

import threading
from typing import Any

import pytest

from tasks.chaos.conduct import Conductor
from tasks.chaos.experiment import summary, why_not
from tasks.chaos.plan.experiment import Experiment, read
from tasks.chaos.providers import ActivityFailedError
from tasks.model.errors import StoppedError

OK = {"status": 200, "headers": {}, "body": ""}


def activity(name: str, kind: str = "probe", **more: Any) -> dict[str, Any]:
    return {"type": kind, "name": name, "provider": {"type": "http", "url": f"http://{name}/"}, **more}


def experiment(*method: dict[str, Any]) -> Experiment:
    return read(
        {
            "title": "T",
            "description": "D",
            "steady-state-hypothesis": {"title": "S", "probes": [activity("steady", tolerance=200)]},
            "method": list(method),
            "rollbacks": [activity("back", "action")],
        },
        "t.json",
        {},
    )


class Played:
    """Does activities as a test says: by name an output, an error, or several one after another."""

    def __init__(self, **outcomes: Any) -> None:
        self.asked: list[str] = []
        self._outcomes = {name: list(one) if isinstance(one, tuple) else [one] for name, one in outcomes.items()}
        self.freed = threading.Event()

    def act(self, wanted: Any) -> Any:
        name = wanted["name"]
        self.asked.append(name)
        outcomes = self._outcomes.get(name, [OK])
        outcome = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
        if outcome == "waits":
            assert self.freed.wait(10)
            return OK
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def end(self) -> None:
        self.freed.set()

    def go_on(self) -> None:
        self.asked.append("go on")


def test_an_experiment_that_goes_as_expected_has_the_journal_of_chaos_toolkit() -> None:
    played = Played()
    journal = Conductor(experiment(activity("do", "action"), activity("look")), played).run()
    assert played.asked == ["steady", "do", "look", "steady", "go on", "back"]
    assert (journal["status"], journal["deviated"], why_not(journal)) == ("completed", False, "")
    assert {"chaoslib-version", "platform", "node", "experiment", "start", "end", "duration"} <= set(journal)
    assert [one["activity"]["name"] for one in journal["run"]] == ["do", "look"]
    assert [one["status"] for one in journal["rollbacks"]] == ["succeeded"]
    assert journal["steady_states"]["before"]["probes"][0]["tolerance_met"] is True
    assert summary(journal)["steady_state_met"] == {"before": True, "after": True}


@pytest.mark.parametrize("outcome", [{**OK, "status": 503}, ActivityFailedError("failed to connect")])
def test_nothing_is_done_when_the_hypothesis_is_not_met_before(outcome: Any) -> None:
    played = Played(steady=outcome)
    journal = Conductor(experiment(activity("do", "action")), played).run()
    assert played.asked == ["steady"]
    assert (journal["status"], journal["run"], journal["rollbacks"]) == ("failed", [], [])
    assert "the method did not run" in why_not(journal)


def test_a_hypothesis_that_is_not_met_afterwards_is_a_deviation() -> None:
    journal = Conductor(experiment(), Played(steady=(OK, {**OK, "status": 500}))).run()
    assert (journal["status"], journal["deviated"]) == ("completed", True)
    assert "not met afterwards" in why_not(journal)


def test_what_a_probe_sees_during_the_fault_counts() -> None:
    played = Played(look={**OK, "status": 500})
    journal = Conductor(experiment(activity("look", tolerance=503)), played).run()
    assert journal["deviated"] and journal["run"][0]["tolerance_met"] is False
    assert played.asked[-1] == "back"


@pytest.mark.parametrize(
    "outcome", [ActivityFailedError("no"), {"status": 3, "stdout": "", "stderr": "prod is production"}]
)
def test_after_an_action_that_failed_the_rest_is_not_done_and_it_is_no_success(outcome: Any) -> None:
    played = Played(do=outcome)
    journal = Conductor(experiment(activity("do", "action"), activity("look")), played).run()
    assert played.asked == ["steady", "do", "go on", "back"]
    assert journal["status"] == "aborted" and "an action failed" in why_not(journal)


def test_rollbacks_run_after_a_signal_and_what_waits_is_ended() -> None:
    played = Played(load="waits", do=StoppedError(2, "stopped by SIGINT"))
    conductor = Conductor(experiment(activity("load", background=True), activity("do", "action")), played)
    with pytest.raises(StoppedError):
        conductor.run()
    assert played.asked[-2:] == ["go on", "back"]
    assert conductor.journal["status"] == "interrupted"
    assert conductor.journal["rollbacks"][0]["status"] == "succeeded"


def test_what_is_in_the_background_goes_on_meanwhile_and_is_waited_for() -> None:
    class Freeing(Played):
        def act(self, wanted: Any) -> Any:
            if wanted["name"] == "do":
                self.freed.set()
            return super().act(wanted)

    played = Freeing(load="waits")
    load = activity("load", background=True, tolerance=200)
    journal = Conductor(experiment(load, activity("do", "action")), played).run()
    assert sorted(one["activity"]["name"] for one in journal["run"]) == ["do", "load"]
    assert not journal["deviated"] and all(one["status"] == "succeeded" for one in journal["run"])


def stop(name: str) -> dict[str, Any]:
    return {"type": "action", "name": name, "provider": {"type": "process", "path": "inv", "arguments": "chaos.stop"}}


class Alert:
    """An alert that notes when it is waited for among what is done."""

    def __init__(self, asked: list[str], fires: bool) -> None:
        self._asked, self._fires = asked, fires

    def begin(self) -> None:
        self._asked.append("begin")

    def await_firing(self) -> None:
        self._asked.append("fires?")

    def await_resolved(self) -> None:
        self._asked.append("resolved?")

    @property
    def as_it_should(self) -> bool:
        return self._fires


@pytest.mark.parametrize("fires", [True, False])
def test_an_alert_is_waited_for_while_the_fault_is_there_and_when_all_is_undone(fires: bool) -> None:
    played = Played()
    method = (activity("do", "action"), activity("look"), stop("end"), activity("after", tolerance=200))
    journal = Conductor(experiment(*method), played, Alert(played.asked, fires)).run()
    assert played.asked == [
        *("steady", "begin", "do", "look", "fires?", "end", "after", "steady"), *("go on", "back", "resolved?"),
    ]  # fmt: skip
    assert (journal["status"], journal["deviated"]) == ("completed", not fires)


def test_an_alert_is_not_waited_for_where_there_was_no_fault() -> None:
    played = Played(do=ActivityFailedError("no"))
    journal = Conductor(experiment(activity("do", "action"), stop("end")), played, Alert(played.asked, True)).run()
    assert played.asked == ["steady", "begin", "do", "go on", "back"]
    assert journal["status"] == "aborted"


def test_an_alert_that_has_not_fired_is_why_an_experiment_deviated() -> None:
    document = {"name": "ServiceErrors", "fired_after": None, "resolved_after": None, "not_asked": None}
    journal = {"status": "completed", "deviated": True, "extensions": [{"name": "slipway", "alert": document}]}
    assert why_not(journal) == "ServiceErrors has not fired"
