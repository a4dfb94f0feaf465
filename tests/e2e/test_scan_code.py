"""Planted faults in Go code and its modules, and scanners in containers that go wrong."""

import itertools
import json
import os
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .support import Checkout, go_project, leftovers, remove

TAKES = 150  # seconds, most of them in the scanners

_NUMBERS = itertools.count()
_TEXT = """golang.org/x/text v0.3.5 h1:i6eZZ+zk0SOf0xgBpEpPD18qWcJda6q1sxt3S0kzyUQ=
golang.org/x/text v0.3.5/go.mod h1:5Zoc/QRtKVWzQhOtBMvqHzDpF6irO9z98xDceosuGiQ=
golang.org/x/tools v0.0.0-20180917221912-90fa682c2a6e/go.mod h1:n7NCudcB/nEzxVGmLbDWY5pfWTLqBcC2KZ6jyYvM4mQ=
"""
_FIXED = """golang.org/x/text v0.3.8 h1:nAL+RVCQ9uMn3vJZbV+MRnydTJFPf8qqY42YiA6MrqY=
golang.org/x/text v0.3.8/go.mod h1:E6s5w1FMmriuDzIBO73fBruAKo1PCIq6d2Q6DHfQ8WQ=
"""
_PARSES = """package main

import (
	"fmt"

	"golang.org/x/text/language"
)

func main() {
	tag, err := language.Parse("en")
	fmt.Println(tag, err)
}
"""
_SERVES = """package main

import (
	"fmt"
	"net/http"
	"time"
)

func main() {
	server := &http.Server{Addr: ":8000", ReadHeaderTimeout: time.Second}
	fmt.Println(server.ListenAndServe())
}
"""
_INJECTION = """package main

import (
	"net/http"
	"os/exec"
)

func run(w http.ResponseWriter, r *http.Request) error {
	return exec.Command("sh", "-c", r.URL.Query().Get("q")).Run()
}

func init() {
	http.HandleFunc("/run", func(w http.ResponseWriter, r *http.Request) { _ = run(w, r) })
}
"""
# A real advisory (https://pkg.go.dev/vuln/GO-2021-0113), in the format of https://go.dev/doc/security/vuln/database.
_ADVISORY = {
    "schema_version": "1.3.1",
    "id": "GO-2021-0113",
    "modified": "2024-05-20T16:03:47Z",
    "published": "2021-10-06T17:51:21Z",
    "aliases": ["CVE-2021-38561"],
    "summary": "Out-of-bounds read in golang.org/x/text/language",
    "details": "An incorrectly formatted language tag can cause Parse to panic via an out of bounds read.",
    "affected": [
        {
            "package": {"name": "golang.org/x/text", "ecosystem": "Go"},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "0.3.7"}]}],
            "ecosystem_specific": {
                "imports": [{"path": "golang.org/x/text/language", "symbols": ["MustParse", "Parse"]}]
            },
        }
    ],
}


class Service(Checkout):
    """A service whose sources a test writes."""

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the process environment of a task, with a reports directory of its own."""
        return super().environment(SLIPWAY_REPORTS_DIR=str(self.project_dir.parent / "reports"), **extra)

    @property
    def app(self) -> Path:
        """The build context."""
        return self.project_dir / "app"

    def module(self, version: str, sums: str) -> None:
        """Require a version of the module."""
        (self.app / "go.mod").write_text(f"module example.com/x\n\ngo 1.25\n\nrequire golang.org/x/text {version}\n")
        (self.app / "go.sum").write_text(sums)

    def scan(self, code: int = 0, **extra: str) -> dict[str, Any]:
        """Scan the code and return the document."""
        return self.json("scan.code", "--env", "test", code=code, **extra)

    def closing(self, code: int = 0, **extra: str) -> list[tuple[str, str]]:
        """Return the id and the place of the findings that close the gate."""
        return [
            (finding["id"], finding["where"]) for finding in self.scan(code, **extra)["findings"] if finding["closes"]
        ]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A Go program without sources, with the sample's modules and the stages of its Dockerfile."""
    name = f"slipway-scan-{os.getpid()}-{next(_NUMBERS)}"
    project, envs = go_project(tmp_path, name)
    made = Service(project, envs, [name])
    (made.app / "src").mkdir()
    try:
        yield made
    finally:
        remove(name)
    assert leftovers(name) == []


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A Go vulnerability database with one advisory."""
    directory = tmp_path / "vulndb"
    (directory / "index").mkdir(parents=True)
    (directory / "ID").mkdir()
    known = {"id": _ADVISORY["id"], "modified": _ADVISORY["modified"]}
    for name, document in {
        "index/db.json": {"modified": _ADVISORY["modified"]},
        "index/modules.json": [{"path": "golang.org/x/text", "vulns": [{**known, "fixed": "0.3.7"}]}],
        "index/vulns.json": [{**known, "aliases": ["CVE-2021-38561"]}],
        "ID/GO-2021-0113.json": _ADVISORY,
    }.items():
        (directory / name).write_text(json.dumps(document))
    return directory


@pytest.fixture
def served(database: Path) -> Iterator[str]:
    """The database behind a URL."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(database)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_vulnerable_module_closes_the_gate_and_its_fixed_version_opens_it(
    service: Service, database: Path, served: str
) -> None:
    place = f"file://{database}"
    # Its modules are not the sample's: what is compiled beforehand is what this program needs, twice.
    dockerfile = service.app / "Dockerfile"
    text = dockerfile.read_text()
    beforehand = re.compile(r"encoding/json log/slog [^>]*")
    assert beforehand.search(text)
    dockerfile.write_text(beforehand.sub("fmt testing ", text))
    (service.app / "src" / "main.go").write_text(_PARSES)
    service.module("v0.3.5", _TEXT)

    document = service.scan(5, SCAN_GO_DB=place)

    (finding,) = [finding for finding in document["findings"] if finding["closes"]]
    assert (finding["id"], finding["fixed_in"], finding["where"]) == (
        "GO-2021-0113",
        "v0.3.7",
        "app: golang.org/x/text v0.3.5",
    )
    assert "CVE-2021-38561, vulnerable code is called at src/main.go:10" in finding["title"]
    tools = {tool["name"]: tool for tool in document["scanners"]}
    assert tools["govulncheck: vulnerabilities"]["database"] == "2024-05-20T16:03:47Z"
    assert all(tool["version"] for tool in tools.values())
    assert service.closing(5, SCAN_GO_DB=served) == [("GO-2021-0113", "app: golang.org/x/text v0.3.5")]

    service.module("v0.3.8", _FIXED)
    assert service.closing(SCAN_GO_DB=place) == []


def test_a_command_injection_closes_the_gate_and_its_repair_opens_it_as_far_as_it_was_checked(service: Service) -> None:
    (service.app / "src" / "main.go").write_text(_SERVES)
    fault = service.app / "src" / "run.go"
    fault.write_text(_INJECTION)
    offline = {"SCAN_OFFLINE": "allow", "SCAN_GO_DB": "/nowhere"}

    assert ("G702", "app/src/run.go:9") in service.closing(5, **offline)

    fault.unlink()
    assert service.closing(**offline) == []
    result = service.inv("scan.code", "--env", "test", code=3, SCAN_GO_DB="/nowhere")
    assert "not checked (no database: SCAN_GO_DB=/nowhere: no such directory)" in result.stderr


@pytest.mark.parametrize(
    ("gosec", "outcome", "reason"),
    [
        ("echo 'panic: oops' >&2; exit 2", "invalid", "it ended with exit code 2 and wrote no report: panic: oops"),
        ("exec tail /dev/zero", "invalid", "killed for memory"),
        ("exec sleep 60", "invalid", "not done within SCAN_TIMEOUT=3.0 s"),
        (r"printf 'a\033[31m\007\n' >&2; exit 4", "invalid", r"wrote no report: a\x1b[31m\x07"),
        ("ln -s /etc/passwd /reports/gosec.json", "invalid", "gosec.json: cannot be read"),
        ("", "not checked", "app: its stage 'security' has no gosec"),
    ],
)
def test_a_scanner_in_a_container_that_goes_wrong_is_never_clean(
    service: Service, gosec: str, outcome: str, reason: str
) -> None:
    lines = ["FROM golang:1.27-alpine AS security", "WORKDIR /src", "COPY . ."]
    scripts = {"gosec": gosec, "go": 'case $1 in version) echo "go version go9" ;; esac', "staticcheck": "exit 0"}
    for name, script in scripts.items():
        if script:
            (service.app / "src" / name).write_text(f"#!/bin/sh\n{script}\n")
            (service.app / "src" / name).chmod(0o755)
    # Before the programs of the base image with these names.
    lines += ["ENV PATH=/src/src:$PATH", "FROM scratch AS production", "COPY . /"]
    (service.app / "Dockerfile").write_text("\n".join(lines) + "\n")
    limit = "3s" if "SCAN_TIMEOUT" in reason else "2m"
    given = {"SCAN_OFFLINE": "allow", "SCAN_GO_DB": "/nowhere", "SCAN_TIMEOUT": limit, "TEST_MEMORY": "64MB"}

    document = service.scan(5 if outcome == "invalid" else 0, **given)

    result = {scanner["name"]: scanner for scanner in document["scanners"]}["gosec"]
    assert result["outcome"] == outcome
    assert reason in result["reason"]
