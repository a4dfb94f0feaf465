"""Tests of the checks of a smoke test and of how their answers are judged."""

from typing import Any

import pytest
from support import container, image, stack

from tasks.model.errors import InputError
from tasks.model.stack.smoke import Check, parse
from tasks.test.plan.smoke import Answer, curl, from_curl, health, image_version, judge

OK = {"url": "http://localhost/health"}


def check(**fields: Any) -> Check:
    return parse([{**OK, **fields}], "here", "web")[0]


def only(rows: tuple[Any, ...]) -> Any:
    assert len(rows) == 1
    return rows[0]


def test_a_check_with_only_a_url_expects_200_within_five_seconds() -> None:
    parsed = check()
    assert (parsed.method, parsed.status, parsed.body, parsed.timeout, parsed.origin) == ("GET", 200, "", 5.0, "host")


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
def test_a_check_with_an_invalid_field_is_bad_input(fields: dict[str, Any], where: str) -> None:
    with pytest.raises(InputError, match=where):
        check(**fields)


@pytest.mark.parametrize("raw", [{}, "http://localhost/", [3], [{}]])
def test_checks_of_another_shape_are_bad_input(raw: object) -> None:
    with pytest.raises(InputError, match="here"):
        parse(raw, "here", "web")


def test_an_invalid_check_is_named_by_its_place_in_the_compose_model() -> None:
    with pytest.raises(InputError, match=r"services.web.x-slipway.smoke\[0\]: a check needs a url"):
        stack({"web": {"x-slipway": {"smoke": [{"status": 200}]}}})


def test_the_status_must_be_the_expected_status_also_a_redirect() -> None:
    assert only(judge(check(status=308), "web", Answer(308))).outcome == "passed"
    row = only(judge(check(), "web", Answer(308)))
    assert (row.outcome, row.reason) == ("failed", "status 308, expected 200")


def test_the_body_is_searched_and_shown_when_it_does_not_match() -> None:
    assert only(judge(check(body='"ok"'), "web", Answer(200, '{"is": "ok"}'))).outcome == "passed"
    assert (
        'does not match \'"ok"\': {"is": 1}' in only(judge(check(body='"ok"'), "web", Answer(200, '{"is": 1}'))).reason
    )


def test_a_late_answer_fails() -> None:
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
def test_the_served_version_must_be_the_deployed_version(
    body: str, deployed: tuple[str, str], outcome: str, reason: str
) -> None:
    rows = judge(check(version={"json": "version", "service": "app"}), "web", Answer(200, body), deployed)
    assert (rows[1].service, rows[1].outcome, rows[1].reason) == ("app", outcome, reason)


def test_the_version_can_be_a_nested_member_of_the_answer() -> None:
    rows = judge(check(version={"json": "build.version"}), "web", Answer(200, '{"build": {"version": "1"}}'), ("1", ""))
    assert rows[1].outcome == "passed"


def test_the_version_of_an_image_is_its_label_or_else_its_only_version_tag() -> None:
    labelled = image(labels={"org.opencontainers.image.version": "1.4.2"})
    assert image_version(labelled, "shop/web:dev") == ("1.4.2", "")
    assert image_version(image(), "registry:5000/shop/web:v1.4.2") == ("1.4.2", "")
    assert image_version(image(), "registry:5000/shop/web")[0] == ""
    assert image_version(image(tags=("shop/web:dev", "shop/web:1.4.2", "shop/web:1.4")), "sha256:a") == ("1.4.2", "")
    working = image(tags=("shop/web:dev", "shop/web:1.4.3-dev.5.g1a2b3c4-development"))
    assert image_version(working, "shop/web:dev") == ("1.4.3-dev.5.g1a2b3c4", "")
    # An image with the tags of two releases does not say which of them is deployed.
    two = image(tags=("shop/web:1.4.2", "shop/web:1.4.3"))
    assert image_version(two, "shop/web:1.4.3") == ("1.4.3", "")
    assert image_version(two, "shop/web:dev")[0] == ""
    assert "no tag of its own that is a version" in image_version(image(), "shop/web:dev")[1]
    assert "not on the engine" in image_version(None, "shop/web:dev")[1]


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
def test_an_unhealthy_or_missing_container_fails_its_service(containers: list[Any], reason: str) -> None:
    row = only(health(stack({"web": HEALTHY}), containers))
    assert (row.outcome, row.reason) == ("failed" if reason else "passed", reason)


def test_a_missing_replica_fails_its_service() -> None:
    row = only(health(stack({"web": {"scale": 2}}), [container()]))
    assert row.reason == "1 of 2 containers run"


def test_during_a_rollout_other_services_in_a_rollout_can_have_starting_containers() -> None:
    shop = stack({"web": HEALTHY, "other": {**HEALTHY, "scale": 2, "x-slipway": {"rollout": "start-first"}}})
    web = container(health="healthy")
    old = [container(f"shop-other-{number}", health="healthy", image_id="sha256:o") for number in (1, 2)]
    starting = container("shop-other-3", health="starting", image_id="sha256:n")
    asked = health(shop, [web, *old, starting], fresh=("shop-web-1",))
    assert [row.outcome for row in asked] == ["passed", "passed"]
    assert health(shop, [web, *old, starting])[1].reason == "shop-other-3 is starting", (
        "after the rollout no container may be starting"
    )
    short = health(shop, [web, old[0], starting], fresh=("shop-web-1",))
    assert short[1].reason == "shop-other-3 is starting", "as many containers as replicas must serve"
    own = health(shop, [web, *old, starting], fresh=("shop-other-3",))
    assert own[1].reason == "shop-other-3 is starting", "the new containers of the rollout must be ready"


def test_a_job_passes_when_it_has_ended_well() -> None:
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
def test_the_output_of_curl_is_read_as_an_answer(code: int, output: str, errors: str, answer: Answer) -> None:
    assert from_curl(check(), code, output, errors, 0.5) == answer
