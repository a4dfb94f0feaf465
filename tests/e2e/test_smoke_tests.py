"""Every gate of `inv test.smoke` closes where it should, on a server that is really broken."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .broken import Broken, make_broken
from .support import Sample, docker, leftovers, remove


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, sample: Sample) -> Iterator[Broken]:
    """The broken server, running and healthy."""
    base = tmp_path_factory.mktemp("broken") / "project"
    name = f"slipway-smoke-{os.getpid()}"
    # An image with a version, in its tag.
    image = f"{name}/web:1.2.3"
    docker("tag", f"{sample.project}/nginx:dev", image)
    made = make_broken(base, name, image)
    try:
        made.up("web")
        made.wait("web", "healthy")
        yield made
    finally:
        remove(name)
        docker("rmi", image)
    assert leftovers(name) == []


def check(server: Broken, code: int, **fields: Any) -> dict[str, Any]:
    """Run the smoke test with one check and return that check's result."""
    server.write([fields])
    document = server.json("test.smoke", code=code, SLIPWAY_REPORTS_DIR=str(server.reports))
    assert document["outcome"] == ("failed" if code else "passed")
    results = [result for result in document["checks"] if result["check"].startswith("GET ")]
    assert len(results) == 1
    return {**results[0], "all": document["checks"]}


def plain(server: Broken, path: str) -> str:
    return f"http://localhost:{server.port(8081)}{path}"


def test_the_sample_stack_passes_and_is_left_as_it_was(sample: Sample, tmp_path: Path) -> None:
    before = docker("ps", "-a", "--filter", f"label=com.docker.compose.project={sample.project}", "--format", "{{.ID}}")
    document = sample.json("test.smoke", SLIPWAY_REPORTS_DIR=str(tmp_path))
    checks = {result["check"]: result for result in document["checks"]}
    assert checks[f"GET https://localhost:{sample.https_port}/ready"]["outcome"] == "passed"
    assert sum(result["check"] == "health" for result in document["checks"]) == 3
    assert checks[f"GET https://localhost:{sample.https_port}/version"]["outcome"] == "passed"
    after = docker("ps", "-a", "--filter", f"label=com.docker.compose.project={sample.project}", "--format", "{{.ID}}")
    assert after == before


def test_a_table_is_shown_and_nothing_is_asked_in_a_dry_run(sample: Sample, tmp_path: Path) -> None:
    shown = sample.inv("test.smoke", SLIPWAY_REPORTS_DIR=str(tmp_path)).stdout
    assert "SERVICE" in shown.splitlines()[0]
    dry = sample.inv("--dry", "test.smoke", SLIPWAY_REPORTS_DIR=str(tmp_path / "none")).stdout
    assert "# smoke: nginx: GET https://localhost:" in dry
    assert not (tmp_path / "none").exists()


def test_what_is_as_expected_passes(server: Broken) -> None:
    result = check(server, 0, url=plain(server, "/ok"), status=200, body='"status":"healthy"', timeout="20s")
    assert result["outcome"] == "passed"


def test_a_wrong_status_closes_the_gate(server: Broken) -> None:
    assert check(server, 5, url=plain(server, "/broken"))["reason"] == "status 503, expected 200"


def test_a_body_that_does_not_match_closes_the_gate(server: Broken) -> None:
    assert "does not match" in check(server, 5, url=plain(server, "/ok"), body='"status":"great"')["reason"]


def test_a_slow_answer_closes_the_gate_in_time_though_no_read_is_late(server: Broken) -> None:
    started = time.monotonic()
    assert check(server, 5, url=plain(server, "/slow"), timeout="1s")["reason"] == "no answer within 1.0 s"
    assert time.monotonic() - started < 120, "the whole answer takes six minutes"


def test_a_slow_answer_over_tls_closes_the_gate_in_time(server: Broken) -> None:
    started = time.monotonic()
    url = f"https://localhost:{server.port(8443)}/slow"
    assert check(server, 5, url=url, timeout="1s")["reason"] == "no answer within 1.0 s"
    assert time.monotonic() - started < 120, "the whole answer takes six minutes"


def test_a_redirect_is_not_followed(server: Broken) -> None:
    assert check(server, 0, url=plain(server, "/moved"), status=308)["outcome"] == "passed"
    assert check(server, 5, url=plain(server, "/moved"))["reason"] == "status 308, expected 200"


def test_a_port_that_nothing_listens_on_closes_the_gate(server: Broken) -> None:
    assert "cannot connect" in check(server, 5, url="http://localhost:1/ok")["reason"]


def test_a_self_signed_certificate_is_trusted_where_the_compose_file_says_so(server: Broken) -> None:
    assert check(server, 0, url=f"https://localhost:{server.port(8443)}/")["outcome"] == "passed"


def test_an_expired_certificate_closes_the_gate(server: Broken) -> None:
    assert check(server, 5, url=f"https://localhost:{server.port(8444)}/")["reason"] == "TLS: certificate has expired"


def test_a_certificate_for_another_host_closes_the_gate(server: Broken) -> None:
    assert "not valid for 'localhost'" in check(server, 5, url=f"https://localhost:{server.port(8445)}/")["reason"]


def test_another_version_than_the_deployed_one_closes_the_gate(server: Broken) -> None:
    result = check(server, 5, url=plain(server, "/ok"), version={"json": "version"})
    row = next(check_ for check_ in result["all"] if check_["check"] == "version of web")
    assert row["reason"] == "serves 9.9.9, deployed is 1.2.3"


def test_the_deployed_version_passes(server: Broken) -> None:
    result = check(server, 0, url=plain(server, "/right"), version={"json": "version"})
    assert [(row["outcome"], row["reason"]) for row in result["all"] if row["check"] == "version of web"] == [
        ("passed", "1.2.3")
    ]


def test_the_image_of_the_container_counts_and_not_that_of_the_profile(server: Broken) -> None:
    declared, server.image = server.image, f"{server.projects[0]}/web:9.9.9"
    try:
        result = check(server, 5, url=plain(server, "/ok"), version={"json": "version"})
    finally:
        server.image = declared
    assert any(row["reason"] == "serves 9.9.9, deployed is 1.2.3" for row in result["all"])


def test_the_production_image_serves_the_version_it_carries(sample: Sample, tmp_path: Path) -> None:
    # The test environment publishes nothing: it is asked from inside.
    name = f"{sample.project}-test"
    try:
        sample.inv("setup", "deploy.test")
        document = sample.json("test.smoke", "--env", "test", SLIPWAY_REPORTS_DIR=str(tmp_path))
    finally:
        remove(name)
    assert leftovers(name) == []
    row = next(result for result in document["checks"] if result["check"] == "version of app")
    assert (row["outcome"], row["reason"]) == ("passed", str(sample.json("image.tags")["images"][0]["version"]))


def test_what_is_not_published_is_asked_from_inside(server: Broken) -> None:
    inside = {"from": "container"}
    assert check(server, 0, url="http://localhost:8081/ok", body="healthy", **inside)["outcome"] == "passed"
    assert check(server, 5, url="http://localhost:8081/broken", **inside)["reason"] == "status 503, expected 200"
    slow = check(server, 5, url="http://localhost:8081/slow", timeout="1s", **inside)
    assert slow["reason"] == "no answer within 1.0 s"
    assert "ertificate" in check(server, 5, url="https://localhost:8444/", **inside)["reason"]


def test_an_unhealthy_service_closes_the_gate_though_everything_answers(server: Broken) -> None:
    server.up("sick")
    server.wait("sick", "unhealthy")
    server.write([{"url": plain(server, "/ok")}])
    document = server.json("test.smoke", code=5, SLIPWAY_REPORTS_DIR=str(server.reports), COMPOSE_PROFILES="sick")
    health = {result["service"]: result for result in document["checks"] if result["check"] == "health"}
    assert health["web"]["outcome"] == "passed"
    assert health["sick"]["reason"].endswith("-sick-1 is unhealthy")
    docker("rm", "-f", f"{server.projects[0]}-sick-1")


def test_a_service_that_crashes_at_its_start_closes_the_gate(server: Broken) -> None:
    server.up("crash")
    server.write([{"url": plain(server, "/ok")}])
    try:
        document = server.json("test.smoke", code=5, SLIPWAY_REPORTS_DIR=str(server.reports), COMPOSE_PROFILES="crash")
    finally:
        docker("rm", "-f", f"{server.projects[0]}-crash-1")
    health = {result["service"]: result for result in document["checks"] if result["check"] == "health"}
    assert health["web"]["outcome"] == "passed"
    assert "-crash-1 is " in health["crash"]["reason"]


def test_a_stopped_environment_closes_the_gate(server: Broken, tmp_path: Path) -> None:
    name = f"{server.projects[0]}-none"
    said = server.inv("test.smoke", code=5, SLIPWAY_REPORTS_DIR=str(tmp_path), COMPOSE_PROJECT_NAME=name).stderr
    assert "0 of 1 containers run" in said


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"statsu": 200}, "unknown key 'statsu'"),
        ({"body": "("}, "is not a regular expression"),
        ({"timeout": "1"}, "1"),
    ],
)
def test_a_check_that_is_not_understood_is_bad_input(server: Broken, fields: dict[str, Any], named: str) -> None:
    server.write([{"url": plain(server, "/ok"), **fields}])
    said = server.inv("test.smoke", code=2, SLIPWAY_REPORTS_DIR=str(server.reports)).stderr
    assert "services.web.x-slipway.smoke[0]" in said
    assert named in said
