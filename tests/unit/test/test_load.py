"""Tests of which targets a load test allows and of how its measurements are judged."""

import json
from typing import Any

import pytest
from support import profile, stack

from tasks.model.errors import CheckError, InputError, RefusedError
from tasks.model.stack.load import parse
from tasks.test.plan.load import (
    LoadSettings,
    Measured,
    admit,
    command,
    declared,
    judge,
    read,
    report_in,
    settings,
    show_time,
    table,
    words,
)

NETWORKS = ("front",)
WEB = {"networks": {"front": None}}
PUBLISHED = {**WEB, "ports": [{"target": 8443, "published": "9443", "protocol": "tcp"}]}


def report(**fields: Any) -> str:
    latencies = {"mean": 0.01, "p50": 0.01, "p95": 0.02, "p99": 0.03, "max": 0.05, **fields.pop("latencies", {})}
    return json.dumps(
        {"asked": 500, "requests": 500, "failures": 0, "rate": 50.0, "throughput": 50.0, "codes": {"200": 500},
         "errors": {}, "series": [{"second": 0, "requests": 50, "errors": 0, "p50": 0.01, "p95": 0.02, "max": 0.05}],
         "latencies": latencies, **fields}
    )  # fmt: skip


def measured(**fields: Any) -> Measured:
    return read(report(**fields))


def targets(*texts: str) -> tuple[Any, ...]:
    return parse({"targets": list(texts)}, "here")


ASKED = LoadSettings(50, 10.0, p95_max=0.25, p99_max=0.5, error_max=1.0)


@pytest.mark.parametrize(
    "raw",
    ["GET http://web/", [], {}, {"targets": []}, {"targets": "GET http://web/"}, {"targets": [3]}, {"rate": 5},
     {"targets": ["POST http://web/"]}, {"targets": ["http://web/"]}, {"targets": ["GET http://a@web/"]},
     {"targets": ["GET http://web/ http://other/"]}, {"targets": ["GET http://web/"], "hosts": []}],
)  # fmt: skip
def test_invalid_targets_are_bad_input(raw: object) -> None:
    with pytest.raises(InputError, match="here"):
        parse(raw, "here")


def test_a_project_without_targets_says_how_to_declare_them() -> None:
    with pytest.raises(InputError, match=r"says x-slipway\.load"):
        declared(stack({"web": {}}))


def test_a_service_of_the_stack_is_an_allowed_target() -> None:
    admitted = admit(targets("GET http://web:8081/a"), stack({"web": WEB}), (), NETWORKS)
    assert (admitted.services, admitted.connect_to, admitted.foreign) == (("web",), {}, False)


def test_a_port_that_the_stack_publishes_leads_to_its_service() -> None:
    admitted = admit(targets("GET https://localhost:9443/a"), stack({"web": PUBLISHED}), (), NETWORKS)
    assert (admitted.services, admitted.connect_to) == (("web",), {"localhost:9443": "web:8443"})


@pytest.mark.parametrize(
    "address",
    ["http://example.com/", "http://web.example.com/", "http://localhost:9444/", "http://127.0.0.1/",
     "http://169.254.169.254/", "http://[::1]:80/"],
)  # fmt: skip
def test_every_other_host_is_refused(address: str) -> None:
    with pytest.raises(RefusedError, match="is no service of shop") as raised:
        admit(targets(f"GET {address}"), stack({"web": PUBLISHED}), (), NETWORKS)
    assert "--allow-host" in raised.value.hint


@pytest.mark.parametrize("networks", [(), ("back",)])
@pytest.mark.parametrize("address", ["http://web:8081/", "https://localhost:9443/"])
def test_a_service_on_no_network_of_the_generator_is_refused(address: str, networks: tuple[str, ...]) -> None:
    with pytest.raises(RefusedError, match="shares no network with service web"):
        admit(targets(f"GET {address}"), stack({"web": PUBLISHED}), (), networks)


def test_a_target_outside_of_the_stack_is_allowed_by_option_and_its_certificate_verified() -> None:
    admitted = admit(targets("GET https://staging.example.com/"), stack({"web": {}}), ("Staging.example.com",))
    assert admitted.foreign
    assert "-insecure" not in command(profile(), "/p", "load", "n", ASKED, admitted).argv
    own = admit(targets("GET http://web/"), stack({"web": WEB}), (), NETWORKS)
    assert "-insecure" in command(profile(), "/p", "load", "n", ASKED, own).argv


def test_the_command_has_rate_duration_and_targets() -> None:
    admitted = admit(targets("GET https://localhost:9443/a"), stack({"web": PUBLISHED}), (), NETWORKS)
    words = command(profile(), "/p", "load", "shop-load-1", ASKED, admitted).argv
    text = " ".join(words)
    assert "run --rm --no-TTY --no-deps --name=shop-load-1 load -rate 50 -duration 10s" in text
    assert text.endswith("-connect-to localhost:9443=web:8443 GET https://localhost:9443/a")


def test_the_default_load_is_small() -> None:
    assert settings(profile()) == LoadSettings(50, 10.0, None, None, 1.0)


def test_options_win_over_the_profile() -> None:
    load = settings(profile(LOAD_RATE="7", LOAD_P95_MAX="250ms"), rate="9", duration="1m")
    assert (load.rate, load.duration, load.p95_max) == (9, 60.0, 0.25)


@pytest.mark.parametrize(
    ("key", "value"),
    [("LOAD_RATE", "fast"), ("LOAD_RATE", "0"), ("LOAD_RATE", "-5"), ("LOAD_RATE", "1.5"), ("LOAD_RATE", "100001"),
     ("LOAD_P95_MAX", "250"), ("LOAD_P99_MAX", "soon"), ("LOAD_ERROR_MAX", "few"), ("LOAD_DURATION", "10")],
)  # fmt: skip
def test_a_limit_that_is_not_a_number_is_an_error_of_the_profile(key: str, value: str) -> None:
    with pytest.raises(InputError, match=f"{key}: expected"):
        profile(**{key: value})


@pytest.mark.parametrize(
    ("options", "named"),
    [({"rate": "many"}, "--rate"), ({"duration": "long"}, "--duration"), ({"rate": "0"}, "--rate")],
)
def test_an_option_that_is_not_a_number_is_named(options: dict[str, str], named: str) -> None:
    with pytest.raises(InputError, match=f"{named}: expected"):
        settings(profile(), **options)


def test_a_limit_of_zero_is_a_limit() -> None:
    limits = settings(profile(LOAD_P95_MAX="0s"))
    assert limits.p95_max == 0
    assert judge(measured(), limits)[0] == "failed"


def test_a_load_of_less_than_a_second_has_no_rate() -> None:
    with pytest.raises(InputError, match="at least 1s"):
        settings(profile(), duration="500ms")


def test_a_load_test_within_all_limits_passes() -> None:
    assert judge(measured(), ASKED) == ("passed", ())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"latencies": {"p95": 0.3}}, "p95 300.00 ms is over LOAD_P95_MAX=250.00 ms"),
        ({"latencies": {"p99": 1.5}}, "p99 1.50 s is over LOAD_P99_MAX=500.00 ms"),
        ({"failures": 10, "errors": {"502 Bad Gateway": 10}}, "2.00 % errors are over LOAD_ERROR_MAX=1 %"),
    ],
)
def test_every_exceeded_limit_fails(fields: dict[str, Any], reason: str) -> None:
    outcome, reasons = judge(measured(**fields), ASKED)
    assert outcome == "failed"
    assert reason in reasons[0]


def test_a_rate_that_was_not_reached_is_invalid() -> None:
    assert judge(measured(requests=474), ASKED)[0] == "invalid"
    assert judge(measured(requests=475), ASKED)[0] == "passed"
    assert judge(measured(requests=0), ASKED)[0] == "invalid"


def test_a_generator_at_its_own_limits_is_invalid() -> None:
    outcome, reasons = judge(measured(failures=1, errors={"dial tcp: socket: too many open files": 1}), ASKED)
    assert outcome == "invalid"
    assert "too many open files" in reasons[0]


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "no json", '{"asked": 1}', report(latencies={"p95": None}), "[" * 9999]
)
def test_a_report_that_cannot_be_read_is_an_error(text: str) -> None:
    with pytest.raises(CheckError, match="cannot be read"):
        read(text)


def test_the_comparison_shows_value_baseline_and_change() -> None:
    rows = {row[0]: row[1:] for row in table(measured(), {"p50": 0.02, "errors": 0.0})}
    assert rows["p50"] == ("10.00 ms", "20.00 ms", "-50.0 %")
    assert rows["p95"] == ("20.00 ms", "-", "-")
    assert rows["errors"] == ("0.00 %", "0.00 %", "-")


def test_latencies_are_shown_in_their_unit() -> None:
    assert [show_time(latency) for latency in (0.00034, 0.0123, 1.5)] == ["340 µs", "12.30 ms", "1.50 s"]


def test_the_names_of_services_on_a_cluster_are_where_a_published_port_leads() -> None:
    own = stack({"my_web": {**PUBLISHED}})
    admitted = admit(targets("GET https://localhost:9443/"), own, (), NETWORKS)

    said = words(ASKED, admitted, {"my_web": "my-web"})

    assert said[said.index("-connect-to") + 1] == "localhost:9443=my-web:8443"


@pytest.mark.parametrize("around", ["{}", "warming up\n{}", "warming up\n{}done\n", "{{broken\n{}"])
def test_the_report_is_found_in_the_log_of_a_pod(around: str) -> None:
    assert read(report_in(around.format(report() + "\n"))).requests == 500


def test_a_log_without_a_report_is_said_to_have_none() -> None:
    with pytest.raises(CheckError, match="cannot be read"):
        read(report_in("panic: no route\n"))
