"""Experiments in Chaos Toolkit's format: what is refused before anything is done."""

from typing import Any

import pytest

from tasks.chaos.plan.experiment import addresses, check_faults, read, words
from tasks.model.errors import InputError, RefusedError

PROBE = {
    "type": "probe",
    "name": "served",
    "tolerance": 200,
    "provider": {"type": "http", "url": "http://${address}:8080/"},
}


def document(*method: Any, **more: Any) -> dict[str, Any]:
    return {
        "title": "Cut",
        "description": "What clients see.",
        "configuration": {"address": {"type": "env", "key": "CHAOS_ADDRESS_WEB", "default": "localhost"}},
        "steady-state-hypothesis": {"title": "It serves", "probes": [PROBE]},
        "method": list(method),
        **more,
    }


def inject(*arguments: str) -> dict[str, Any]:
    return {
        "type": "action",
        "name": "cut",
        "provider": {"type": "process", "path": "inv", "arguments": ["chaos.inject", *arguments]},
    }


def test_variables_are_those_of_the_environment_or_their_defaults() -> None:
    experiment = read(document(), "cut.yaml", {"CHAOS_ADDRESS_WEB": "172.18.0.3"})
    assert experiment.filled(experiment.probes[0])["provider"]["url"] == "http://172.18.0.3:8080/"
    assert experiment.probes[0] is PROBE, "the journal has it as it is written"
    at_home = read(document(), "cut.yaml", {})
    assert at_home.filled(at_home.probes[0])["provider"]["url"] == "http://localhost:8080/"
    with pytest.raises(InputError, match=r"configuration\.a: NOWHERE is not set"):
        read(document(configuration={"a": {"type": "env", "key": "NOWHERE"}}), "cut.yaml", {})


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ([], "an experiment is an object"),
        ({"method": []}, "title: is missing"),
        (document(secrets={"a": {}}), "secrets: are not read"),
        (document(method=None), "method: is no list"),
        (
            document({"type": "thing", "name": "a", "provider": {"type": "http", "url": "x"}}),
            r"method\[0\]: type: is action",
        ),
        (document({"type": "action", "name": "a", "provider": {"type": "magic"}}), "not 'magic'"),
        (document({"type": "action", "name": "a", "provider": {"type": "process"}}), r"provider\.path: is missing"),
        (document({"ref": "other"}), "`ref` is not understood"),
        (
            document(**{"steady-state-hypothesis": {"probes": [{k: v for k, v in PROBE.items() if k != "tolerance"}]}}),
            r"steady-state-hypothesis\.probes\[0\]: tolerance: is missing",
        ),
    ],
)
def test_what_is_wrong_with_an_experiment_is_said_with_its_place(wrong: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read(wrong, "cut.yaml", {})


def test_python_code_is_refused_unless_it_is_allowed() -> None:
    code = {"type": "action", "name": "code", "provider": {"type": "python", "module": "os", "func": "getcwd"}}
    with pytest.raises(RefusedError, match="code runs Python code of os") as refused:
        read(document(code), "cut.yaml", {})
    assert "--allow-python" in refused.value.hint
    assert read(document(code), "cut.yaml", {}, python=True).method == (code,)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("tickle", "--service", "web"), "cut.yaml: cut: no fault 'tickle'"),
        (("cut", "--service", "nope"), "--service nope: not of this run"),
        (("cut", "--service=web", "--from=nope"), "--from nope: not of this run"),
        (("cut", "--service", "web", "--env", "prod"), "--env prod: not of this run"),
    ],
)
def test_a_fault_that_could_not_be_made_is_refused_before_anything_is_done(
    arguments: tuple[str, ...], reason: str
) -> None:
    experiment = read(document(inject(*arguments)), "cut.yaml", {})
    with pytest.raises(InputError, match=reason):
        check_faults(experiment, "test", ("web", "db"), "cut.yaml")
    good = read(document(inject("cut", "--service", "web", "--from", "db", "--env", "test")), "cut.yaml", {})
    check_faults(good, "test", ("web", "db"), "cut.yaml")


@pytest.mark.parametrize(
    ("arguments", "argv"),
    [
        ("chaos.stop --env test", ("inv", "chaos.stop", "--env", "test")),
        (["chaos.stop", "", None, 5], ("inv", "chaos.stop", "5")),
        ({"--env": "test"}, ("inv", "--env", "test")),
        (None, ("inv",)),
    ],
)
def test_arguments_are_a_text_a_list_or_options(arguments: Any, argv: tuple[str, ...]) -> None:
    assert words({"path": "inv", "arguments": arguments}) == argv


def test_an_experiment_can_say_that_it_is_about_deploys() -> None:
    assert not read(document(), "cut.yaml", {}).during_deploy
    about = document(extensions=[{"name": "slipway", "during-deploy": True}])
    assert read(about, "cut.yaml", {}).during_deploy


STOP = {"type": "action", "name": "end it", "provider": {"type": "process", "path": "inv", "arguments": "chaos.stop"}}


def test_an_experiment_names_the_alert_that_has_to_fire_and_ends_its_fault_itself() -> None:
    named = [{"name": "slipway", "alert": "ServiceErrors"}]
    experiment = read(document(inject("cut", "--service", "web"), STOP, extensions=named), "cut.yaml", {})
    assert experiment.alert == "ServiceErrors" and not read(document(), "cut.yaml", {}).alert
    assert [experiment.ends_faults(activity) for activity in experiment.method] == [False, True]
    with pytest.raises(
        InputError, match=r"cut\.yaml: extensions: alert: ServiceErrors is waited for .* no chaos\.stop"
    ):
        read(document(inject("cut", "--service", "web"), rollbacks=[STOP], extensions=named), "cut.yaml", {})
    with pytest.raises(InputError, match=r"cut\.yaml: extensions: alert: is the name of an alert"):
        read(document(STOP, extensions=[{"name": "slipway", "alert": ["ServiceErrors"]}]), "cut.yaml", {})


def test_a_fault_lasts_longer_where_its_alert_is_waited_for() -> None:
    configuration = {"lasts": {"type": "env", "key": "CHAOS_LASTS", "default": "20s"}, "half": "${lasts}", "n": 5}
    cut = inject("cut", "--service", "web", "--for", "${lasts}")
    experiment = read(document(cut, configuration=configuration), "cut.yaml", {})
    for made, lasts in ((experiment, "20s"), (experiment.lasting("30m"), "30m")):
        assert words(made.filled(cut)["provider"])[-2:] == ("--for", lasts)
    assert experiment.lasting("30m").values["n"] == 5
    assert read(document(cut), "cut.yaml", {}).lasting("30m") == read(document(cut), "cut.yaml", {})


def test_an_experiment_is_told_where_the_services_are() -> None:
    assert addresses({"web-api": ("172.18.0.3", "172.19.0.3"), "job": ()}) == {"CHAOS_ADDRESS_WEB_API": "172.18.0.3"}
