"""What a smoke test checks, and what an answer comes to."""

from typing import Any

import pytest
from support import container, image, stack

from tasks.plan.errors import InputError
from tasks.plan.smoke import Answer, Check, carried_version, curl, from_curl, health, judge, parse

OK = {"url": "http://localhost/health"}


def check(**fields: Any) -> Check:
    return parse([{**OK, **fields}], "here", "web")[0]


def only(rows: tuple[Any, ...]) -> Any:
    assert len(rows) == 1
    return rows[0]


def test_a_check_that_says_only_its_url_expects_200_within_five_seconds() -> None:
    found = check()
    assert (found.method, found.status, found.body, found.timeout, found.origin) == ("GET", 200, "", 5.0, "host")


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"statsu": 200}, r"here\[0\]: unknown key 'statsu'"),
        ({"status": "ok"}, r"here\[0\].status: expected an HTTP status"),
        ({"status": True}, r"here\[0\].status"),
        ({"status": 99}, r"here\[0\].status"),
        ({"body": "("}, r"here\[0\].body: '\(' is not a regular expression"),
        ({"body": 3}, r"here\[0\].body: expected a regular expression"),
        ({"timeout": "soon"}, r"here\[0\].timeout: expected a duration"),
        ({"timeout": "2m"}, r"here\[0\].timeout: expected up to 60s"),
        ({"timeout": "0s"}, r"here\[0\].timeout"),
        ({"method": "POST"}, r"here\[0\].method: expected GET or HEAD"),
        ({"from": "moon"}, r"here\[0\].from: expected host or container"),
        ({"url": "localhost"}, r"here\[0\].url: expected an address"),
        ({"version": "version"}, r"here\[0\].version: expected a mapping"),
        ({"version": {"service": "web"}}, r"here\[0\].version.json"),
        ({"version": {"json": "v", "image": "x"}}, r"here\[0\].version: unknown key 'image'"),
    ],
)
def test_a_check_that_is_not_understood_is_bad_input(fields: dict[str, Any], where: str) -> None:
    with pytest.raises(InputError, match=where):
        check(**fields)


@pytest.mark.parametrize("raw", [{}, "http://localhost/", [3], [{}]])
def test_a_field_of_another_shape_is_bad_input(raw: object) -> None:
    with pytest.raises(InputError, match="here"):
        parse(raw, "here", "web")


def test_the_compose_model_names_the_place_of_the_fault() -> None:
    with pytest.raises(InputError, match=r"services.web.x-slipway.smoke\[0\]: a check needs a url"):
        stack({"web": {"x-slipway": {"smoke": [{"status": 200}]}}})


def test_the_status_has_to_be_the_one_expected_also_a_redirect() -> None:
    assert only(judge(check(status=308), "web", Answer(308))).outcome == "passed"
    row = only(judge(check(), "web", Answer(308)))
    assert (row.outcome, row.reason) == ("failed", "status 308, expected 200")


def test_the_body_is_searched_and_shown_when_it_does_not_match() -> None:
    assert only(judge(check(body='"ok"'), "web", Answer(200, '{"is": "ok"}'))).outcome == "passed"
    assert (
        'does not match \'"ok"\': {"is": 1}' in only(judge(check(body='"ok"'), "web", Answer(200, '{"is": 1}'))).reason
    )


def test_an_answer_that_comes_late_has_not_come() -> None:
    assert only(judge(check(timeout="1s"), "web", Answer(200, "", 1.2))).reason == "no answer within 1.0 s"


@pytest.mark.parametrize(
    ("body", "deployed", "outcome", "reason"),
    [
        ('{"version": "1.4.2"}', ("1.4.2", ""), "passed", "1.4.2"),
        ('{"version": "v1.4.2"}', ("1.4.2", ""), "passed", "v1.4.2"),
        ('{"version": "1.4.1"}', ("1.4.2", ""), "failed", "serves 1.4.1, deployed is 1.4.2"),
        ('{"other": 1}', ("1.4.2", ""), "failed", "the answer has no member 'version'"),
        ("no json", ("1.4.2", ""), "failed", "the answer has no member 'version'"),
        ('{"version": "1.4.1"}', ("", "no label"), "skipped", "serves 1.4.1; no label"),
    ],
)
def test_the_version_served_is_the_one_deployed(
    body: str, deployed: tuple[str, str], outcome: str, reason: str
) -> None:
    rows = judge(check(version={"json": "version", "service": "app"}), "web", Answer(200, body), deployed)
    assert (rows[1].service, rows[1].outcome, rows[1].reason) == ("app", outcome, reason)


def test_the_version_may_stand_deeper_in_the_answer() -> None:
    rows = judge(check(version={"json": "build.version"}), "web", Answer(200, '{"build": {"version": "1"}}'), ("1", ""))
    assert rows[1].outcome == "passed"


def test_the_version_of_an_image_is_its_label_else_a_tag_that_is_one() -> None:
    labelled = image(labels={"org.opencontainers.image.version": "1.4.2"})
    assert carried_version(labelled, "shop/web:dev") == ("1.4.2", "")
    assert carried_version(image(), "registry:5000/shop/web:v1.4.2") == ("1.4.2", "")
    assert carried_version(image(), "registry:5000/shop/web")[0] == ""
    assert carried_version(image(tags=("shop/web:dev", "shop/web:1.4.2", "shop/web:1.4")), "sha256:a") == ("1.4.2", "")
    working = image(tags=("shop/web:dev", "shop/web:1.4.3-dev.5.g1a2b3c4-development"))
    assert carried_version(working, "shop/web:dev") == ("1.4.3-dev.5.g1a2b3c4", "")
    # One image, two releases: which of them is deployed, it does not say.
    two = image(tags=("shop/web:1.4.2", "shop/web:1.4.3"))
    assert carried_version(two, "shop/web:1.4.3") == ("1.4.3", "")
    assert carried_version(two, "shop/web:dev")[0] == ""
    assert "no tag of its own that is a version" in carried_version(image(), "shop/web:dev")[1]
    assert "not on the engine" in carried_version(None, "shop/web:dev")[1]


HEALTHY = {"healthcheck": {"test": ["CMD", "true"]}}


@pytest.mark.parametrize(
    ("containers", "reason"),
    [
        ([container(health="healthy")], ""),
        ([container(health="unhealthy")], "shop-web-1 is unhealthy"),
        ([container(health="starting")], "shop-web-1 is starting"),
        ([container(state="exited", exit_code=1)], "shop-web-1 is exited"),
        ([], "0 of 1 containers run"),
        ([container(health="healthy", oneoff=True)], "0 of 1 containers run"),
    ],
)
def test_every_service_is_healthy(containers: list[Any], reason: str) -> None:
    row = only(health(stack({"web": HEALTHY}), containers))
    assert (row.outcome, row.reason) == ("failed" if reason else "passed", reason)


def test_a_missing_replica_is_missed() -> None:
    row = only(health(stack({"web": {"scale": 2}}), [container()]))
    assert row.reason == "1 of 2 containers run"


def test_a_job_has_ended_well() -> None:
    shop = stack({"web": {"x-slipway": {"job": "migrate"}}})
    assert only(health(shop, [container(state="exited")])).outcome == "passed"
    assert only(health(shop, [container(state="exited", exit_code=3)])).reason == "shop-web-1 ended with exit code 3"
    assert only(health(shop, [])).reason == "it has not run"


def test_curl_follows_nothing_and_reads_no_settings() -> None:
    words = curl(check(url="https://localhost:8443/", method="HEAD"), "/run/secrets/tls")
    assert words[:2] == ("curl", "--disable")
    assert "--location" not in words
    assert words[words.index("--cacert") + 1] == "/run/secrets/tls"
    assert "--head" in words
    assert "--cacert" not in curl(check(), "/run/secrets/tls")


@pytest.mark.parametrize(
    ("code", "output", "errors", "answer"),
    [
        (0, '{"a":1}\n200', "", Answer(200, '{"a":1}', 0.5)),
        (0, "two\nlines\n\n308", "", Answer(308, "two\nlines\n", 0.5)),
        (28, "\n000", "curl: (28) timed out", Answer(error="no answer within 5.0 s")),
        (60, "\n000", "curl: (60) SSL certificate problem: certificate has expired\nMore", Answer(
            error="SSL certificate problem: certificate has expired")),
        (127, "", "no such file", Answer(error="there is no curl in the container to ask with")),
        (7, "", "", Answer(error="curl ended with exit code 7")),
    ],
)  # fmt: skip
def test_what_curl_prints_is_an_answer(code: int, output: str, errors: str, answer: Answer) -> None:
    assert from_curl(check(), code, output, errors, 0.5) == answer
