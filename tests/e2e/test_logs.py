"""Logs on a real engine: followed through releases and restarts without a loss or a repetition, and looked through."""

import json
import os
import re
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.life.load import load
from tests.schemas import faults

from .lean import Lean
from .starting import Started
from .support import Sample, docker, logged, until

_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
# Each run of the container numbers its lines, to stdout and stderr in turns, and says how many there were.
_COUNTS = r"""
nginx -c /app.conf
run=$(cat /proc/sys/kernel/random/uuid) i=0
trap 'nginx -c /app.conf -s quit; echo "run=$run end=$i"; exit 0' TERM QUIT
while :; do
    i=$((i+1))
    if [ $((i%2)) = 0 ]; then echo "run=$run line=$i" >&2; else echo "run=$run line=$i"; fi
    sleep 0.01
done
"""
_LINE = re.compile(r"run=(\S+) (line|end)=(\d+)$")


@contextmanager
def following(lean: Lean, file: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Follow the logs into a file until the end of the block; the follower then gets a Ctrl-C."""
    with file.open("w") as out:
        task: subprocess.Popen[str] = Started(
            lean.command("logs", "--follow", *words), env=lean.environment(), stdin=subprocess.DEVNULL, stdout=out,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        try:
            yield task
            task.send_signal(signal.SIGINT)
            said = task.communicate(timeout=60)[1]
            assert (task.returncode, said) == (128 + signal.SIGINT, "stopped by SIGINT\n")
        finally:
            if task.poll() is None:
                task.kill()
                task.communicate()


def runs(file: Path) -> int:
    """Return how many runs have lines in a file."""
    return len(set(re.findall(r"run=(\S+) line=", file.read_text())))


def assert_complete(lines: Iterable[str], runs: int) -> None:
    """Assert that the lines of each run are there, each once and in order, up to the one that it ended with."""
    seen: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for run, what, number in (match.groups() for match in map(_LINE.search, lines) if match):
        seen[run].append((what, int(number)))
    # stdout and stderr are two streams: the engine may note two lines in a row the other way round.
    ended = {run: number for run, parts in seen.items() for what, number in parts if what == "end"}
    assert len(ended) >= runs, {run: parts[-1] for run, parts in seen.items()}
    for run, parts in seen.items():
        numbers = sorted(number for what, number in parts if what == "line")
        assert numbers == list(range(1, len(numbers) + 1)), run
        assert ended.get(run, len(numbers)) == len(numbers), run


def test_logs_are_followed_through_releases_and_restarts_without_loss_or_repetition(lean: Lean, tmp_path: Path) -> None:
    text, documents = tmp_path / "text", tmp_path / "json"
    lean.version("first", _COUNTS)
    lean.write(stop_grace_period="60s")
    lean.inv("deploy.dev")
    with (
        following(lean, text, "--service", "app"),
        following(lean, documents, "--json", "--grep", "run=", "--service", "app", "--service", "front"),
        load(lean.api, 40) as requests,
    ):
        until(lambda: runs(text) == runs(documents) == 1, "lines of the first run")
        for number in range(2):
            lean.version(f"more-{number}", _COUNTS)
            lean.inv("deploy.dev")
        assert requests.failures == [], lean.proxy_errors()
        docker("restart", "-t", "60", docker("ps", "-q", "--filter", f"label=com.docker.compose.project={lean.project}",
                                            "--filter", "label=com.docker.compose.service=app"))  # fmt: skip
        until(lambda: runs(text) == runs(documents) == 4, "lines of the run after the restart")
    lines = text.read_text().splitlines()
    assert all(re.match(r"app-\d+ +\| ", line) for line in lines)
    assert len({line.split("|")[0].strip() for line in lines}) == 3, "a container for each release"
    assert_complete(lines, 3)
    found = [json.loads(line) for line in documents.read_text().splitlines()]
    assert [fault for document in found for fault in faults(document)] == []
    entries = [entry for document in found for entry in document["lines"]]
    assert {entry["service"] for entry in entries} == {"app"}
    assert_complete((entry["text"] for entry in entries), 3)
    lean.version(lean.now)
    lean.write()
    lean.inv("deploy.dev")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return what a service writes, line by line."""
    return [
        '{"level":30,"time":1,"msg":"begins"}',
        f'{{"level":"ERROR","msg":"lost","trace_id":"{_TRACE}","span_id":"00f067aa0ba902b7"}}',
        "time=2026-11-29T08:00:00Z level=warn msg=slow",
        "2026-11-29 08:00:00.000 UTC [7] ERROR:  no such column at character 8",
        "2026-11-29 08:00:00.000 UTC [7] STATEMENT:  select x",
        "2026/11/29 08:00:00 [warn] 7#7: *1 an upstream response is buffered",
        f"called by 00-{_TRACE}-00f067aa0ba902b7-01",
        "plain",
    ]


def test_lines_are_chosen_by_what_they_say_and_when(lean: Lean, told: list[str]) -> None:
    says = "; ".join(f"printf '%s\\n' '{line}'; sleep 0.02" for line in told)
    script = f"{says}; touch /tmp/said; exec sleep infinity"
    box: dict[str, Any] = {"image": lean.image, "entrypoint": ["sh", "-c", script], "stop_grace_period": "0s"}
    after = {"depends_on": {"box": {"condition": "service_healthy"}}}
    other = {**box, **after, "entrypoint": ["sh", "-c", "echo other x; exec sleep infinity"]}
    mute = {**box, "entrypoint": ["sleep", "infinity"], "logging": {"driver": "none"}}
    said = {"healthcheck": {"test": ["CMD", "test", "-e", "/tmp/said"], "interval": "200ms", "retries": 100}}
    lean.write(more={"box": {**box, **said}, "other": other, "mute": mute})
    lean.inv("deploy.dev")
    until(lambda: docker("logs", f"{lean.project}-other-1"), "the last line is in the log")

    def texts(*words: str) -> list[str]:
        document = lean.json("logs", "--service", "box", "--service", "other", *words)
        return [line["text"] for line in document["lines"]]

    assert texts() == [*told, "other x"]
    assert texts("--tail", "2", "--grep", "l") == [told[6], told[7]]
    assert texts("--tail", "2", "--grep", "x") == [told[4], "other x"]
    assert texts("--level", "error") == [told[1], told[3], told[4]]
    assert texts("--level", "warning", "--tail", "1") == [told[5]]
    assert texts("--trace", _TRACE) == [told[1], told[6]]
    lines = lean.json("logs", "--service", "box")["lines"]
    assert {key: lines[1][key] for key in ("level", "trace_id", "span_id", "service", "stream")} == {
        "level": "error", "trace_id": _TRACE, "span_id": "00f067aa0ba902b7", "service": "box", "stream": "stdout",
    }  # fmt: skip
    third, fifth = lines[2]["time"], lines[4]["time"]
    assert texts("--since", third, "--until", fifth) == [told[2], told[3]]
    assert_says_what_is_missing(lean)
    lean.write()
    lean.inv("deploy.dev")


def assert_says_what_is_missing(lean: Lean) -> None:
    def said(*words: str) -> str:
        result = lean.inv("logs", *words)
        assert result.stdout == ""
        return result.stderr

    assert "no data: nothing was written since 2001-01-01T00:00:00Z until 2002-01-01T00:00:00Z" in said(
        "--service", "box", "--since", "2001-01-01", "--until", "2002-01-01"
    )
    assert "nothing is kept from before the containers were made: box 20" in said(
        "--service", "box", "--since", "2001-01-01", "--grep", "nowhere"
    )
    assert re.search(r"none of \d+ lines matches", said("--service", "box", "--grep", "nowhere"))
    assert "mute-1: its log cannot be read: configured logging driver does not support reading" in said(
        "--service", "mute"
    )


def test_a_follower_ends_with_its_reader_and_its_time(lean: Lean) -> None:
    words: dict[str, Any] = {"env": lean.environment(), "stdin": subprocess.DEVNULL, "text": True}
    lean.json("logs", "--tail", "1")
    task: subprocess.Popen[str] = Started(
        lean.command("logs", "--follow"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, **words
    )
    assert task.stdout
    task.stdout.close()  # nobody reads, and nothing is written
    assert task.wait(timeout=60) == 128 + signal.SIGPIPE
    assert task.stderr
    assert task.stderr.read() == ""
    task.stderr.close()
    end = time.time() + 2
    result = lean.inv("logs", "--follow", "--tail", "0", "--until", f"{end:.3f}")
    assert time.time() > end
    assert "Traceback" not in result.stderr


def test_bad_input_is_refused_before_anything_is_read(lean: Lean) -> None:
    for words, said in (
        (("--grep", "("), "--grep '(': not a regular expression"),
        (("--since", "soon"), "--since: expected a time, got 'soon'"),
        (("--since", "1h", "--until", "2h"), "--since 1h is not before --until 2h"),
        (("--tail", "-1"), "--tail: expected a number of lines or all"),
        (("--level", "loud"), "--level: there is no level 'loud'"),
        (("--trace", "0" * 32), "--trace: expected the id of a trace"),
        (("--service", "nobody"), "nobody"),
    ):
        result = lean.inv("logs", *words, code=2)
        assert said in result.stderr.splitlines()[0], result.stderr
        assert result.stdout == ""


def test_secrets_of_the_profile_are_masked_in_lines_unless_they_are_wanted_raw(lean: Lean, tmp_path: Path) -> None:
    profile = lean.envs_dir / "dev.env"
    before = profile.read_text()
    profile.write_text(f'{before}API_TOKEN=hunter2secret\nDB_PASSWORD="it\'s a word"\n')
    script = """echo token $$A; printf '{"said":"%s"}\\n' "$$B"; exec sleep infinity"""
    variables = {"A": "${API_TOKEN}", "B": "${DB_PASSWORD}"}
    box = {"image": lean.image, "entrypoint": ["sh", "-c", script], "environment": variables, "stop_grace_period": "0s"}
    file = tmp_path / "followed"
    try:
        lean.write(more={"box": box})
        lean.inv("deploy.dev")
        words = ("--service", "box")
        lines = logged(lean, 2, *words)
        assert [line["text"] for line in lines] == ["token ***", '{"said":"***"}']
        assert lines[1]["fields"] == {"said": "***"}
        assert "hunter2" not in lean.inv("logs", *words).stdout
        with following(lean, file, *words):
            until(lambda: "said" in file.read_text(), "the lines are shown")
        assert "hunter2" not in file.read_text()
        assert "token hunter2secret" in lean.inv("logs", *words, "--raw").stdout
        assert lean.json("logs", *words, "--raw", "--tail", "1")["lines"][0]["fields"] == {"said": "it's a word"}
        assert len(lean.json("logs", *words, "--grep", "hunter2secret")["lines"]) == 1
    finally:
        profile.write_text(before)
    lean.write()
    lean.inv("deploy.dev")


def test_two_environments_are_read_together(lean: Lean) -> None:
    (lean.envs_dir / "spare.env").write_text(f"COMPOSE_PROJECT_NAME={lean.project}-spare\n")
    try:
        document = lean.json("logs", "--env", "dev", "--env", "spare")
        assert document["environments"] == ["dev", "spare"]
        result = lean.inv("logs", "--env", "dev", "--env", "spare", "--tail", "1")
        assert f"{lean.project}-spare: no containers, so there are no logs" in result.stderr
        assert all(line.startswith("dev ") for line in result.stdout.splitlines())
    finally:
        (lean.envs_dir / "spare.env").unlink()


def test_a_trace_is_in_the_lines_of_the_proxy_and_of_the_service(sample: Sample) -> None:
    trace, span = os.urandom(16).hex(), "00f067aa0ba902b7"
    sample.get("/api/users?limit=1", headers={"traceparent": f"00-{trace}-{span}-01"})
    sample.get("/api/users?limit=1", headers={"traceparent": f"00-{trace}-{span}-01-more"})  # not of this format
    sample.get("/api/users?limit=1")
    lines = logged(sample, 2, "--trace", trace)
    assert sorted(line["service"] for line in lines) == ["app", "nginx"]
    assert {(line["trace_id"], line["span_id"], line["level"]) for line in lines} == {(trace, span, "info")}
    assert len({line["fields"]["request_id"] for line in lines}) == 1
