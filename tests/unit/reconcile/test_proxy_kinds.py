"""A running proxy of each kind: how it is led elsewhere, when it has drained, and what it lacks to be led."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_project import FakeProject
from fakes import World
from support import container

from tasks.model.compose import Source
from tasks.model.errors import CommandError, DeployError
from tasks.model.stack.upstream import ProxyTarget
from tasks.reconcile import proxy, proxy_kinds
from tasks.reconcile.plan.rollout import Proxy, first_files, workers

OLD, NEW, EDGE = "shop-web-1", "shop-web-2", "shop-edge-1"
HAPROXY = "backend web\n    server web web:8000 check\n"
TRAEFIK = "http:\n  services:\n    web:\n      loadBalancer:\n        servers:\n          - url: http://web:8000\n"
PLAIN = "upstream web {\n    server web:8000;\n}\n"
API = "docker exec shop-edge-1 curl"


class Front:
    """A proxy of some kind that leads to OLD; NEW runs too."""

    def __init__(self, directory: Path, kind: str, file: str, text: str) -> None:
        self.world, self.file = World(), f"/etc/{kind}/upstreams/{file}"
        self.project = FakeProject(self.world, directory)
        web = {"networks": {"default": None}, "x-slipway": {"rollout": "blue-green"}}
        self.project.files({"web": web, "edge": {"x-slipway": {"proxy": {"kind": kind}}}})
        addresses = {OLD: "10.9.0.3", NEW: "10.9.0.4", EDGE: "10.9.0.2"}
        self.world.boxes += [
            container(name, service=name.split("-")[1], addresses=(address,)) for name, address in addresses.items()
        ]
        self.world.inside[EDGE, self.file] = text
        self.world.inside[EDGE, "/usr/bin/curl"] = ""
        self.source = Source(self.project.profile, self.project.cwd)
        found = proxy.find_proxy(self.project, self.project.stack)
        assert found
        self.proxy: Proxy = found

    def lead(self, *names: str, **aim: Any) -> proxy.Draining:
        target = ProxyTarget(names, **aim)
        return proxy.lead_proxy(self.project, self.source, self.project.stack, self.proxy, "web", target)

    def lacking(self, least: int = 100) -> list[tuple[str, str]]:
        return proxy_kinds.lacking(self.project, self.source, self.proxy, {"web": least})

    def files(self) -> dict[str, str]:
        """Return the files of the proxy's servers, by their names."""
        found = {path.rpartition("/")[2]: text for (_, path), text in self.world.inside.items() if "upstreams/" in path}
        return {name: text for name, text in found.items() if not name.startswith(".")}


def connected(*addresses: str) -> str:
    """Return what /proc/net/tcp says with established connections to these addresses only."""
    lines = ["  sl  local_address rem_address   st tx_queue rx_queue"]
    for address in addresses:
        remote = bytes(int(part) for part in reversed(address.split("."))).hex().upper()
        lines.append(f"   0: 0200090A:9C40 {remote}:1F40 01 00000000:00000000")
    lines.append("   1: 0200090A:9C41 0900090A:1F40 06 00000000:00000000")  # TIME_WAIT
    return "\n".join(lines) + "\n"


@pytest.fixture
def haproxy(tmp_path: Path) -> Front:
    front = Front(tmp_path, "haproxy", "web.cfg", HAPROXY)

    def table() -> tuple[dict[str, str], ...]:
        """Its master and the worker that the last reload has started, each started with the same words."""
        command = {"CMD": "haproxy -W -db -f /etc/haproxy/haproxy.cfg"}
        check = {"CMD": "haproxy -c -q", "PID": "90", "PPID": "1"}
        worker = {"PID": str(100 + front.world.reloads), "PPID": "10", **command}
        return ({"PID": "10", "PPID": "1", **command}, worker, check)

    front.world.processes = table
    return front


def test_haproxy_is_checked_and_reloaded_and_its_worker_drains(haproxy: Front) -> None:
    assert haproxy.lacking() == []
    assert haproxy.lead(NEW, backups=[OLD]) == [(EDGE, ("100",))]
    check = "haproxy -c -q -f /etc/haproxy/haproxy.cfg -f /etc/haproxy/upstreams"
    assert haproxy.world.asked[-2:] == [f"docker exec {EDGE} {check}", f"docker kill --signal=USR2 {EDGE}"]
    assert (
        f"    server {NEW} {NEW}:8000 check\n    server {OLD} {OLD}:8000 check backup\n" in haproxy.files()["web.cfg"]
    )
    assert haproxy.lead(NEW, backups=[OLD]) == [], "nothing changes"


def test_haproxy_without_a_master_is_not_ended(haproxy: Front) -> None:
    haproxy.world.processes = lambda: ({"PID": "10", "PPID": "1", "CMD": "haproxy -db -f /etc/haproxy/haproxy.cfg"},)
    assert "has no worker processes, so USR2 would end it" in haproxy.lacking()[0][0]
    with pytest.raises(DeployError, match="no worker processes"):
        haproxy.lead(NEW)
    assert not any("kill" in asked for asked in haproxy.world.asked)


def test_haproxy_that_does_not_accept_its_servers_keeps_those_before(haproxy: Front) -> None:
    haproxy.world.fails(f"docker exec {EDGE} haproxy -c", "[ALERT] unknown keyword")
    with pytest.raises(DeployError, match="the proxy does not accept the servers of web"):
        haproxy.lead(NEW)
    assert haproxy.files() == {"web.cfg": HAPROXY}
    assert haproxy.world.reloads == 0


def test_the_workers_of_other_proxies_are_told_by_their_name_alone(haproxy: Front) -> None:
    table = [{"PID": "1", "PPID": "0", "COMMAND": "haproxy"}, {"PID": "2", "PPID": "1", "COMMAND": "haproxy"}]
    assert workers(haproxy.proxy, table) == ("2",)


@pytest.fixture
def caddy(tmp_path: Path) -> Front:
    front = Front(tmp_path, "caddy", "web.conf", PLAIN)
    front.world.inside[EDGE, "/etc/caddy/Caddyfile"] = ""
    front.lead(OLD)
    front.world.asked.clear()
    return front


def caddyfile(front: Front, text: str) -> None:
    front.world.says[f"docker exec {EDGE} cat /etc/caddy/Caddyfile"] = lambda: text


def test_caddy_is_led_by_files_without_a_reload(caddy: Front) -> None:
    old = caddy.lead(NEW, backups=[OLD])
    assert {key: text for key, text in caddy.files().items() if key != "web.conf"} == {
        "web.1": f"{NEW}\n", "web.backup": f"{OLD}\n",
    }  # fmt: skip
    moves = [asked.split()[-1].rpartition("/")[2] for asked in caddy.world.asked if " mv " in asked]
    assert moves == ["web.conf", "web.backup", "web.1"], "it stands by before the first one changes"
    assert old == [(EDGE, ("10.9.0.3",))]
    assert caddy.world.reloads == 0
    assert caddy.lead(NEW) == [(EDGE, ())], "no container leaves"
    assert caddy.files()["web.backup"] == f"{NEW}\n"


def test_a_file_for_a_container_that_is_no_more_names_one_that_is(caddy: Front) -> None:
    caddy.world.inside[EDGE, "/etc/caddy/upstreams/web.2"] = caddy.world.inside[EDGE, "/etc/caddy/upstreams/web.3"] = (
        f"{OLD}\n"
    )
    caddy.lead(NEW)
    assert {caddy.files()[name] for name in ("web.1", "web.2", "web.3", "web.backup")} == {f"{NEW}\n"}


def test_caddy_has_drained_when_it_has_no_connection_to_the_old_container(caddy: Front) -> None:
    old = caddy.lead(NEW)
    tables = [connected("10.9.0.3", "10.9.0.4"), connected("10.9.0.4", "10.9.0.3"), connected("10.9.0.4")]
    caddy.world.says[f"docker exec {EDGE} cat"] = lambda: tables.pop(0)
    proxy.wait_until_drained(caddy.project, caddy.source, caddy.proxy, [*old, (EDGE, ())])
    assert tables == [], "it was waited for until the third look"


def test_caddy_is_not_waited_for_longer_than_it_may_drain(caddy: Front, capsys: pytest.CaptureFixture[str]) -> None:
    caddy.world.says[f"docker exec {EDGE} cat"] = lambda: connected("10.9.0.3")
    settings = replace(caddy.proxy.settings, drain=0.01)
    service = replace(caddy.proxy.service, slipway=replace(caddy.proxy.service.slipway, proxy=settings))
    hurried = replace(caddy.proxy, service=service)
    proxy.wait_until_drained(caddy.project, caddy.source, hurried, caddy.lead(NEW))
    assert "old containers are connected after 0.0 s; going on" in capsys.readouterr().err


def test_peers_are_read_from_both_tables() -> None:
    mapped = "   2: 00000000000000000000000000000000:1F90 0000000000000000FFFF00000300090A:D431 01 0:0"
    six = "   3: 00000000000000000000000000000000:1F90 B80D0120000000000000000001000000:D431 01 0:0"
    assert proxy_kinds.peers([mapped, six, "  sl  local_address", ""]) == {"10.9.0.3", "2001:db8::1"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (":80 {\n reverse_proxy {file./etc/caddy/upstreams/web.1}:8000\n}\n", ""),
        (":80 {\n reverse_proxy web:8000\n}\n", "does not name {file./etc/caddy/upstreams/web.1}"),
        ("import /etc/caddy/sites/*\n", ""),
    ],
)
def test_a_caddyfile_that_does_not_read_the_files_is_found(caddy: Front, text: str, fault: str) -> None:
    caddyfile(caddy, text)
    faults = caddy.lacking()
    assert [fault in reason for reason, _ in faults] == ([True] if fault else [])


def test_a_canary_needs_as_many_files_as_its_least_share(caddy: Front) -> None:
    names = " ".join(f"{{file./etc/caddy/upstreams/web.{number}}}:8000" for number in range(1, 20))
    caddyfile(caddy, f":80 {{\n reverse_proxy {names}\n}}\n")
    assert caddy.lacking() == []
    assert caddy.lacking(6) == []
    ((reason, hint),) = caddy.lacking(5)
    assert "names too few files of web for a share of 5 %, which needs 20" in reason
    assert "web.20}" in hint


def test_caddy_gives_a_share_by_the_files_that_name_the_new_container(caddy: Front) -> None:
    for number in range(2, 21):
        caddy.world.inside[EDGE, f"/etc/caddy/upstreams/web.{number}"] = f"{OLD}\n"
    caddy.lead(OLD, canaries=[NEW], share=25)
    led = [text.strip() for key, text in caddy.files().items() if key not in ("web.conf", "web.backup")]
    assert (led.count(NEW), len(led)) == (5, 20)
    caddy.lead(NEW, backups=[OLD])
    assert {caddy.files()[f"web.{number}"] for number in range(1, 21)} == {f"{NEW}\n"}


@pytest.fixture
def traefik(tmp_path: Path) -> Front:
    front = Front(tmp_path, "traefik", "web.yml", TRAEFIK)
    front.world.says[API] = lambda: answer(front)
    return front


def answer(front: Front, text: str = "", **more: Any) -> str:
    """Return what Traefik's API says when it has read a text; that of its file, if none is given."""
    if front.world.asked[-1].endswith("/api/overview"):
        return json.dumps({"providers": ["File"]})
    text = text or front.world.inside[EDGE, front.file]
    urls = [{"url": line.split()[-1]} for line in text.splitlines() if line.lstrip().startswith("- url:")]
    other = {"name": "api@internal", "provider": "internal"}
    return json.dumps([other, {"name": "web@file", "loadBalancer": {"servers": urls}, **more}])


def test_traefik_is_led_by_its_file_and_asked_whether_it_follows(traefik: Front) -> None:
    assert traefik.lacking() == []
    assert traefik.lead(OLD) == [(EDGE, ())]
    assert traefik.lead(NEW) == [(EDGE, ("10.9.0.3",))]
    assert traefik.world.asked[-1].endswith("http://127.0.0.1:8080/api/http/services?per_page=10000")
    assert traefik.world.reloads == 0
    assert f"- url: http://{NEW}:8000\n" in traefik.files()["web.yml"]


def test_traefik_follows_when_it_knows_the_weights(traefik: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_kinds, "_READ", 0.0)
    both = {"servers": [{"url": f"http://{OLD}:8000", "weight": 19}, {"url": f"http://{NEW}:8000", "weight": 1}]}
    traefik.world.says[API] = lambda: json.dumps([{"name": "web@file", "loadBalancer": both}])
    traefik.lead(OLD, canaries=[NEW], share=5)
    assert "weight: 19  # share\n" in traefik.files()["web.yml"]
    with pytest.raises(DeployError, match="does not lead to the servers of its file"):
        traefik.lead(OLD, canaries=[NEW], share=25)


def test_traefik_that_does_not_follow_gets_the_file_before(traefik: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_kinds, "_READ", 0.0)
    traefik.world.says[API] = lambda: answer(traefik, TRAEFIK)
    with pytest.raises(DeployError, match="shop-edge-1 does not lead to the servers of its file") as caught:
        traefik.lead(NEW)
    assert caught.value.hint == "its log says why: docker logs shop-edge-1"
    assert traefik.files() == {"web.yml": TRAEFIK}


def test_traefik_may_answer_late_once(traefik: Front) -> None:
    late = [CommandError("docker exec shop-edge-1 ended with exit code 28", 28)]

    def say() -> str:
        if late:
            raise late.pop()
        return answer(traefik)

    traefik.world.says[API] = say
    assert traefik.lead(NEW) == [(EDGE, ())]
    assert late == []


def test_traefik_says_what_is_wrong_with_a_service(traefik: Front) -> None:
    traefik.world.says[API] = lambda: answer(traefik, error=["the serversTransport web@file does not exist"])
    with pytest.raises(DeployError, match="service web: the serversTransport web@file does not exist"):
        traefik.lead(NEW)
    assert traefik.files() == {"web.yml": TRAEFIK}


def test_a_file_that_is_no_yaml_is_not_given_to_traefik_for_long(traefik: Front) -> None:
    broken = f"{TRAEFIK}      loadBalancer: [\n"
    traefik.world.inside[EDGE, traefik.file] = broken
    with pytest.raises(DeployError, match="the upstream file has no servers of services: ParserError"):
        traefik.lead(NEW)
    assert traefik.files() == {"web.yml": broken}


@pytest.mark.parametrize("way", ["no API", "no client", "no provider"])
def test_what_traefik_lacks_is_found_before_anything_runs(traefik: Front, way: str) -> None:
    if way == "no API":
        traefik.world.says.clear()
    elif way == "no client":
        del traefik.world.inside[EDGE, "/usr/bin/curl"]
    else:
        traefik.world.says[API] = lambda: json.dumps({"providers": ["Docker"]})
    ((reason, hint),) = traefik.lacking()
    assert {"no API": "does not answer", "no client": "neither curl nor wget", "no provider": "no file provider"}[
        way
    ] in reason
    assert hint


@pytest.mark.parametrize(("kind", "file", "text"), [("haproxy", "web.cfg", HAPROXY), ("caddy", "web.conf", PLAIN)])
def test_the_first_files_of_a_service_are_written(tmp_path: Path, kind: str, file: str, text: str) -> None:
    front = Front(tmp_path, kind, file, text)
    web = front.project.stack.service("web")
    for command in first_files(front.source, front.proxy, EDGE, web, "upstream web {\n    server web:9000;\n}\n"):
        front.project.runner.run(command)
    made = {
        "haproxy": {"web.cfg": "backend web\n    server web web:9000\n"},
        "caddy": {"web.conf": PLAIN.replace("8000", "9000"), "web.1": "web\n", "web.backup": "web\n"},
    }
    assert front.files() == made[kind]
