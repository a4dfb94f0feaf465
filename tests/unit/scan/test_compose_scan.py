"""Slipway's own checks of a Compose model and of Dockerfiles, and the reports of hadolint and trivy."""

import json
from typing import Any

import pytest
from support import stack

from tasks.model.errors import CheckError
from tasks.model.finding import CRITICAL, HIGH, LOW, MEDIUM
from tasks.scan.plan import compose_model, dockerfiles
from tasks.scan.plan.compose_model import ModelFacts

HARDENED = {
    "image": "shop/web:1.2",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "mem_limit": "134217728",
    "pids_limit": 100,
    "user": "101:101",
}
KNOWN = ModelFacts(user="101", health_check=True, one_off=False)


def findings_of(facts: ModelFacts = KNOWN, **fields: Any) -> list[tuple[str, str, str]]:
    """Return id, severity and place of the findings on a service that is hardened except for some fields."""
    raw = {**HARDENED, **fields}
    raw = {name: value for name, value in raw.items() if value is not None}
    services = stack({"web": raw}).services
    findings = compose_model.checks(services, {"services": {"web": raw}}, {"web": facts}, "/shop")
    return [(finding.id, finding.severity, finding.where) for finding in findings]


def mount(source: str, **more: Any) -> dict[str, Any]:
    return {"volumes": [{"type": "bind", "source": source, "target": "/x", **more}]}


def test_a_hardened_service_is_clean() -> None:
    assert findings_of() == []


@pytest.mark.parametrize(
    ("fields", "id_", "severity"),
    [
        ({"user": "0:0"}, "SLIP001", HIGH),
        ({"user": "root"}, "SLIP001", HIGH),
        ({"image": "web"}, "SLIP002", HIGH),
        ({"image": "registry:5000/web:latest"}, "SLIP002", HIGH),
        ({"environment": {"API_TOKEN": "abc"}}, "SLIP004", HIGH),
        ({"environment": {"DSN": "postgres://u:hunter2@db/x"}}, "SLIP004", HIGH),
        ({"read_only": None}, "SLIP006", MEDIUM),
        ({"cap_add": ["CAP_SYS_ADMIN"]}, "SLIP007", HIGH),
        ({"cap_add": ["CHOWN"]}, "SLIP007", MEDIUM),
        ({"cap_add": ["NET_BIND_SERVICE"]}, "SLIP007", LOW),
        ({"privileged": True}, "SLIP008", CRITICAL),
        (mount("/var/run/docker.sock", read_only=True), "SLIP009", CRITICAL),
        (mount("/run/containerd/containerd.sock"), "SLIP009", CRITICAL),
        (mount("/run/buildkit/buildkitd.sock"), "SLIP009", CRITICAL),
        (mount("/run/cri-dockerd.sock"), "SLIP009", CRITICAL),
        (mount("/", read_only=True), "SLIP010", HIGH),
        (mount("/var", read_only=True), "SLIP010", HIGH),
        (mount("/etc/ssl", read_only=True), "SLIP010", HIGH),
        ({"network_mode": "host"}, "SLIP011", HIGH),
        ({"pid": "host"}, "SLIP011", HIGH),
        ({"ipc": "host"}, "SLIP011", HIGH),
        ({"security_opt": None}, "SLIP012", LOW),
        ({"mem_limit": None}, "SLIP013", LOW),
        ({"pids_limit": None}, "SLIP013", LOW),
        ({"cap_drop": None}, "SLIP014", LOW),
        ({"security_opt": ["no-new-privileges", "seccomp=unconfined"]}, "SLIP016", HIGH),
        (mount("/shop/src"), "SLIP017", LOW),
        (mount("/srv/data"), "SLIP017", MEDIUM),
        ({"devices": [{"source": "/dev/fuse"}]}, "SLIP018", MEDIUM),
    ],
)
def test_each_fault_is_found(fields: dict[str, Any], id_: str, severity: str) -> None:
    assert [finding[:2] for finding in findings_of(**fields)] == [(id_, severity)]


@pytest.mark.parametrize(
    "fields",
    [
        {"image": "web@sha256:" + "0" * 64},
        {"image": "registry:5000/web:1"},
        {"environment": {"API_TOKEN_FILE": "/run/secrets/t", "DB_PASSWORD": "", "API_KEY": None}},
        {"security_opt": ["no-new-privileges=true"]},
        mount("/shop/conf", read_only=True),
        mount("/varnish", read_only=True),
        {"mem_limit": None, "deploy": {"resources": {"limits": {"memory": "128M"}}}},
        {"network_mode": "none"},
        {"pid": "service:db"},
    ],
)
def test_secure_settings_are_no_findings(fields: dict[str, Any]) -> None:
    assert findings_of(**fields) == []


@pytest.mark.parametrize(("user", "expected"), [("", ["SLIP001"]), ("root", ["SLIP001"]), ("70:70", []), (None, [])])
def test_without_a_user_in_compose_the_user_of_the_image_counts(user: str | None, expected: list[str]) -> None:
    assert [finding[0] for finding in findings_of(ModelFacts(user, True, False), user=None)] == expected


def test_only_services_that_keep_running_need_a_health_check() -> None:
    assert [finding[:2] for finding in findings_of(ModelFacts("101", False, False))] == [("SLIP005", MEDIUM)]
    assert findings_of(ModelFacts("101", False, True)) == []
    assert findings_of(ModelFacts("101", None, False)) == []


def test_a_finding_names_the_service_and_never_the_secret() -> None:
    raw = {**HARDENED, "environment": {"API_TOKEN": "hunter2"}}
    services = stack({"web": raw}).services
    (finding,) = compose_model.checks(services, {"services": {"web": raw}}, {"web": KNOWN}, "/shop")

    assert finding.where == "web: environment: API_TOKEN"
    assert "hunter2" not in str(vars(finding))


# Dockerfiles


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        ("FROM a\nUSER 1:1\n", "", "1:1"),
        ("FROM a\n", "", None),
        ("FROM scratch\nCOPY x /\n", "", ""),
        ("FROM a AS base\nUSER 7\nFROM base AS prod\nFROM b AS other\n", "prod", "7"),
        ("FROM a AS base\nUSER 7\nFROM base AS prod\nUSER root\n", "", "root"),
        ("FROM --platform=$BUILDPLATFORM a AS x\nUSER ${APP_USER}\n", "x", None),
        ("FROM a\n", "nowhere", None),
    ],
)
def test_a_stage_inherits_the_user_of_its_base(text: str, target: str, expected: str | None) -> None:
    assert compose_model.stage_user(text, target) == expected


def test_a_base_without_a_digest_may_change() -> None:
    text = "FROM golang:1.27 AS build\nFROM build\nFROM golang:1.27\nFROM scratch\nFROM x@sha256:0\nFROM $BASE\n"

    assert [(finding.id, finding.where) for finding in compose_model.unpinned_bases(text, "Dockerfile")] == [
        ("SLIP003", "Dockerfile:1")
    ]


def test_a_secret_in_env_or_arg_is_found_without_its_value() -> None:
    text = 'FROM a\nENV A=1 API_TOKEN="hunter2" \\\n  DB_PASSWORD_FILE=/x\nARG DB_PASSWORD=hunter2\nARG OTHER_TOKEN\n'

    findings = compose_model.environment_secrets(text, "Dockerfile")

    assert [finding.where for finding in findings] == ["Dockerfile: API_TOKEN", "Dockerfile: DB_PASSWORD"]
    assert "hunter2" not in str(findings)


# hadolint and trivy


def test_an_unpinned_base_image_from_hadolint_is_of_high_severity() -> None:
    lines = [{"code": "DL3006", "level": "warning", "line": 1, "file": "/p/Dockerfile", "message": "tag it"},
             {"code": "DL3059", "level": "info", "line": 4, "file": "/p/Dockerfile", "message": "join"}]  # fmt: skip

    findings = dockerfiles.hadolint(json.dumps(lines), lambda name: name.removeprefix("/"))

    assert [(finding.id, finding.severity, finding.where) for finding in findings] == [
        ("DL3006", HIGH, "p/Dockerfile:1"),
        ("DL3059", LOW, "p/Dockerfile:4"),
    ]


def trivy(**result: Any) -> str:
    return json.dumps({"SchemaVersion": 2, "Results": [{"Target": "0/Dockerfile", **result}]})


def test_misconfigurations_are_read_from_the_report_of_trivy() -> None:
    entry = {"ID": "DS-0002", "Severity": "HIGH", "Title": "T", "Message": "M", "Resolution": "R", "CauseMetadata": {}}
    (finding,) = dockerfiles.misconfigurations(trivy(Misconfigurations=[entry]), lambda _: "app/Dockerfile")

    assert (finding.id, finding.severity, finding.where, finding.advice) == ("DS-0002", HIGH, "app/Dockerfile:1", "R")
    assert dockerfiles.misconfigurations('{"SchemaVersion": 2}', str) == ()


def test_a_secret_is_reported_by_kind_and_place() -> None:
    entry = {
        "RuleID": "aws-access-key-id",
        "Severity": "CRITICAL",
        "Title": "AWS key",
        "StartLine": 3,
        "Match": "AKIA1",
    }
    (finding,) = dockerfiles.secrets(trivy(Secrets=[entry]), lambda _: "commit 1a2b3c4: a.env")

    assert (finding.id, finding.severity, finding.where) == ("aws-access-key-id", CRITICAL, "commit 1a2b3c4: a.env:3")
    assert "AKIA1" not in str(finding)


@pytest.mark.parametrize("text", ["", "{", "null", "[1]", '{"SchemaVersion": 1}', '"x"', "[" * 100_000])
def test_other_text_than_a_report_of_trivy_is_refused(text: str) -> None:
    for parse in (dockerfiles.misconfigurations, dockerfiles.secrets):
        with pytest.raises(CheckError, match="printed no report"):
            parse(text, str)


@pytest.mark.parametrize("text", ["", "{", "null", "[1]", '"x"', "[" * 100_000])
def test_other_text_than_a_report_of_hadolint_is_refused(text: str) -> None:
    with pytest.raises(CheckError, match="printed no report"):
        dockerfiles.hadolint(text, str)
