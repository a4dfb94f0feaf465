"""How each kind of proxy names its servers, and what keeps it from reading them."""

from typing import Any

import pytest
from support import profile, stack

from tasks.model.errors import InputError
from tasks.model.stack.extension import ProxySettings
from tasks.model.stack.foresight import Files, doubts, refusals, upstream_paths
from tasks.model.stack.proxies.caddy import needed_slots, slots
from tasks.model.stack.proxies.kinds import KINDS, language
from tasks.model.stack.upstream import (
    ProxyTarget,
    canary_weights,
    first_upstream_file,
    has_pattern,
    retarget,
    serving_containers,
    serving_weights,
    watched_containers,
)

OLD, NEW = "shop-web-1", "shop-web-2"
HAPROXY = """# kept
backend web
    option httpchk GET /health
    default-server inter 500ms
    server web web:8000 check init-addr libc,none  # the pattern
    timeout server 30s
"""
TRAEFIK = """http:
  services:
    web:
      failover: {service: web-serving, fallback: web-standby}
    web-serving:
      loadBalancer:
        healthCheck: {path: /health, interval: 500ms}
        servers:
          - url: "http://web:8000"
    web-standby:
      loadBalancer:
        servers:
          - url: "http://web:8000"  # backup
"""
PLAIN = "upstream web {\n    server web:8000;\n}\n"
FILES = {"": PLAIN, "nginx": PLAIN, "haproxy": HAPROXY, "caddy": PLAIN, "traefik": TRAEFIK}
STEPS = (
    ProxyTarget([OLD]),
    ProxyTarget([OLD], coming=[NEW]),
    ProxyTarget([NEW], backups=[OLD]),
    ProxyTarget([NEW]),
    ProxyTarget([OLD], canaries=[NEW], share=5),
    ProxyTarget([OLD, "shop-web-3"], canaries=[NEW], share=50),
    ProxyTarget([OLD, NEW], backups=["shop-web-3"]),
    ProxyTarget([]),
)


def settings(**proxy: Any) -> ProxySettings:
    return stack({"front": {"x-slipway": {"proxy": proxy}}}).service("front").slipway.proxy


@pytest.mark.parametrize("kind", FILES)
def test_a_plan_reads_the_same_from_the_file_of_every_kind(kind: str) -> None:
    """What it is decided on does not depend on the kind of proxy."""
    speech, text = language(kind), FILES[kind]
    plain = PLAIN
    for aim in STEPS:
        text, plain = speech.retarget(text, "web", aim), retarget(plain, "web", aim)
        told = speech.told(text, "web")
        assert serving_containers(told, "web") == serving_containers(plain, "web") == tuple(aim.containers)
        assert canary_weights(told) == canary_weights(plain)
        assert [name for name, _ in canary_weights(told)] == list(aim.canaries)
        assert serving_weights(told, "web") == serving_weights(plain, "web")
        assert has_pattern(told, "web")
        both = {OLD, NEW, "shop-web-3"}
        assert watched_containers(told, "web", both, 1) == watched_containers(plain, "web", both, 1)
        assert speech.retarget(text, "web", aim) == text, "the same again"
    if kind != "haproxy":  # a comment at the end of a server's line is lost
        assert text.replace(" max_fails=0", "") == FILES[kind]


@pytest.mark.parametrize("kind", FILES)
def test_a_file_without_the_line_of_the_service_is_refused(kind: str) -> None:
    with pytest.raises(InputError, match=r"has no line `.*other.*PORT") as caught:
        language(kind).retarget(FILES[kind], "other", ProxyTarget(["shop-other-1"]))
    assert "it is the pattern" in caught.value.hint


def test_haproxy_gets_one_line_for_each_server() -> None:
    made = language("haproxy").retarget(HAPROXY, "web", ProxyTarget([NEW], backups=[OLD]))
    assert made == HAPROXY.replace(
        "    server web web:8000 check init-addr libc,none  # the pattern\n",
        f"    server {NEW} {NEW}:8000 check init-addr libc,none\n"
        f"    server {OLD} {OLD}:8000 check init-addr libc,none backup\n"
        "    server web web:8000 check init-addr libc,none disabled\n",
    )
    coming = language("haproxy").retarget(made, "web", ProxyTarget([NEW], coming=["shop-web-3"]))
    assert "    server shop-web-3 shop-web-3:8000 check init-addr libc,none disabled\n" in coming
    assert OLD not in coming


def test_traefik_gets_containers_that_stand_by_in_a_list_of_their_own() -> None:
    made = language("traefik").retarget(TRAEFIK, "web", ProxyTarget([NEW], backups=[OLD]))
    assert made == TRAEFIK.replace(
        '          - url: "http://web:8000"\n',
        f'          - url: "http://{NEW}:8000"\n'
        f'          # - url: "http://{OLD}:8000"  # down\n'
        '          # - url: "http://web:8000"  # down\n',
    ).replace('"http://web:8000"  # backup', f'"http://{OLD}:8000"  # backup')
    alone = language("traefik").retarget(made, "web", ProxyTarget([NEW]))
    assert f'"http://{NEW}:8000"  # backup' in alone, "an empty list would be an error"
    assert OLD not in alone


def test_caddy_reads_one_name_from_each_file() -> None:
    text = retarget(PLAIN, "web", ProxyTarget([NEW], backups=[OLD]))
    assert slots(text, "web", 1) == {"web.backup": f"{OLD}\n", "web.1": f"{NEW}\n"}
    assert next(iter(slots(text, "web", 1))) == "web.backup", "first: it is there when the others change"
    assert slots(retarget(text, "web", ProxyTarget([NEW])), "web", 1) == {"web.backup": f"{NEW}\n", "web.1": f"{NEW}\n"}
    assert slots(PLAIN, "web", 2) == {"web.backup": "web\n", "web.1": "web\n", "web.2": "web\n"}
    two = retarget(PLAIN, "web", ProxyTarget([OLD, NEW]))
    assert [slots(two, "web", 3)[f"web.{n}"] for n in (1, 2, 3)] == [f"{OLD}\n", f"{NEW}\n", f"{OLD}\n"]
    coming = retarget(PLAIN, "web", ProxyTarget([OLD], coming=[NEW]))
    assert f"{NEW}\n" not in slots(coming, "web", 1).values()


def test_haproxy_and_traefik_say_weights_in_their_own_words() -> None:
    aim = ProxyTarget([OLD], canaries=[NEW], share=5)
    own = HAPROXY.replace("check", "weight 40 check")
    assert language("haproxy").retarget(own, "web", aim) == own.replace(
        "    server web web:8000 weight 40 check init-addr libc,none  # the pattern\n",
        f"    server {OLD} {OLD}:8000 check init-addr libc,none weight 19\n"
        f"    server {NEW} {NEW}:8000 check init-addr libc,none weight 1  # canary\n"
        "    server web web:8000 weight 40 check init-addr libc,none disabled\n",
    )
    assert language("traefik").retarget(TRAEFIK, "web", aim) == TRAEFIK.replace(
        '          - url: "http://web:8000"\n',
        f'          - url: "http://{OLD}:8000"\n            weight: 19  # share\n'
        f'          - url: "http://{NEW}:8000"  # canary\n            weight: 1  # share\n'
        '          # - url: "http://web:8000"  # down\n',
    ).replace('"http://web:8000"  # backup', f'"http://{OLD}:8000"  # backup')


@pytest.mark.parametrize(
    ("old", "new", "share", "count", "least"),
    [(1, 1, 5, 20, 1), (1, 1, 5, 39, 1), (2, 2, 25, 20, 5), (3, 1, 50, 20, 10), (1, 2, 33, 20, 6), (1, 1, 5, 19, 0)],
)
def test_caddy_names_the_new_containers_in_their_share_of_the_files(
    old: int, new: int, share: int, count: int, least: int
) -> None:
    names = [f"shop-web-{number}" for number in range(1, old + new + 1)]
    text = retarget(PLAIN, "web", ProxyTarget(names[:old], canaries=names[old:], share=share))
    files = slots(text, "web", count)
    hosts = [files[f"web.{number}"].strip() for number in range(1, count + 1)]
    assert sum(host in names[old:] for host in hosts) == least
    assert files["web.backup"] == "shop-web-1\n"
    assert set(hosts) == {*names[:old], *names[old : old + min(new, least)]}
    assert needed_slots(share) * share >= 100


@pytest.mark.parametrize("kind", FILES)
def test_the_first_file_of_a_service_has_its_pattern(kind: str) -> None:
    speech = language(kind)
    for others in ({}, {"web": speech.told(FILES[kind], "web")}):
        text = speech.first(first_upstream_file("other", 9000, others), "other")
        assert ":9000" in text
        assert has_pattern(speech.told(text, "other"), "other")
        assert serving_containers(speech.told(text, "other"), "other") == ()
        led = speech.retarget(text, "other", ProxyTarget(["shop-other-1"]))
        assert serving_containers(speech.told(led, "other"), "other") == ("shop-other-1",)
    assert language("haproxy").first(first_upstream_file("other", 9000, {}), "other") == (
        "backend other\n    server other other:9000\n"
    )


def test_a_kind_fills_in_what_is_left_out() -> None:
    assert settings(kind="nginx") == ProxySettings(
        "/etc/nginx/upstreams", ("nginx", "-t", "-q"), "HUP", "nginx: worker process", kind="nginx"
    )
    made = settings(kind="haproxy", upstreams="/srv/servers")
    assert made.check[-2:] == ("-f", "/srv/servers")
    assert (made.reload, made.workers) == ("USR2", "haproxy")
    assert settings(kind="haproxy", check=["true"]).check == ("true",)
    assert settings(kind="traefik", drain="1m", api="http://127.0.0.1:9/x/").drain == 60
    assert settings(kind="traefik", api="http://127.0.0.1:9/x/").api == "http://127.0.0.1:9/x"
    assert settings(upstreams="/u") == ProxySettings("/u"), "a proxy without a kind is as it was"


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ({"kind": "envoy"}, "proxy.kind: expected one of nginx, haproxy, caddy, traefik, got 'envoy'"),
        ({"kind": "caddy", "reload": "HUP"}, "proxy.reload: it means nothing to a proxy of kind caddy"),
        ({"kind": "nginx", "api": "http://x"}, "proxy.api: it means nothing to a proxy of kind nginx"),
        ({"upstreams": "/u", "api": "http://x"}, "proxy.api: it means nothing to a proxy without a kind"),
        ({"kind": "traefik", "api": "127.0.0.1:8080"}, "proxy.api: expected a URL, got '127.0.0.1:8080'"),
        ({"kind": "traefik", "drain": "10"}, "proxy.drain: expected a duration such as 30s, got '10'"),
        ({"check": ["true"]}, "proxy.upstreams: expected a directory, got None"),
    ],
)
def test_settings_that_do_not_fit_the_kind_are_refused(proxy: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError) as caught:
        settings(**proxy)
    assert reason in caught.value.message
    assert caught.value.hint


def behind(kind: str, rollout: str = "blue-green", labels: dict[str, str] | None = None, **front: Any) -> Any:
    web = {"networks": {"default": None}, "x-slipway": {"rollout": rollout}, "labels": labels or {}}
    volume = {"type": "volume", "source": "up", "target": f"/etc/{kind}/upstreams"}
    proxy = {"x-slipway": {"proxy": {"kind": kind}}, "volumes": [volume], "networks": {"default": None}, **front}
    return {"web": web, "front": proxy}


def reasons(services: dict[str, Any], files: Files | None = None) -> list[str]:
    return [reason for reason, _ in refusals(stack(services), profile(), files)]


READS = ["--providers.file.directory=/etc/traefik/upstreams/", "--api.insecure=true"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_of_each_kind_is_foreseen_to_work(kind: str) -> None:
    assert reasons(behind(kind)) == []


@pytest.mark.parametrize(
    ("kind", "command", "reason"),
    [
        (
            "haproxy",
            ["haproxy", "-W", "-f", "/etc/haproxy/haproxy.cfg"],
            "haproxy does not read /etc/haproxy/upstreams",
        ),
        ("traefik", ["--entrypoints.web.address=:80", READS[1]], "Traefik does not read /etc/traefik/upstreams"),
        ("traefik", ["--providers.file.directory=/etc/traefik", READS[1]], "does not read /etc/traefik/upstreams"),
        ("traefik", [*READS, "--providers.file.watch=false"], "watch=false Traefik does not see a new file"),
        ("traefik", READS[:1], "Traefik's API is off"),
    ],
)
def test_a_proxy_that_would_not_read_its_files_is_refused(kind: str, command: list[str], reason: str) -> None:
    assert [reason in text for text in reasons(behind(kind, command=command))] == [True]


def test_a_proxy_that_reads_its_files_is_not_refused() -> None:
    words = ["haproxy", "-W", "-f", "/etc/haproxy/haproxy.cfg", "-f", "/etc/haproxy/upstreams"]
    assert reasons(behind("haproxy", command=words)) == []
    assert reasons(behind("traefik", command=READS)) == []
    assert reasons(behind("traefik", command=["--configfile=/traefik.yml"])) == [], "the file may say it"


def test_the_upstream_file_of_a_bind_mount_is_read_in_the_language_of_the_kind() -> None:
    services = behind("haproxy")
    services["front"]["volumes"] = [{"type": "bind", "source": "/srv/up", "target": "/etc/haproxy/upstreams"}]
    assert upstream_paths(stack(services)) == ("/srv/up/web.cfg",)
    assert reasons(services, Files(upstreams={"/srv/up/web.cfg": HAPROXY})) == []
    wrong = reasons(services, Files(upstreams={"/srv/up/web.cfg": PLAIN}))
    assert "/srv/up/web.cfg has no line `server web web:PORT`" in wrong[0]


ROUTED = {"traefik.enable": "true", "traefik.http.routers.web.rule": "PathPrefix(`/`)"}


def test_what_traefik_is_told_by_labels_is_rolled_out_start_first_with_a_health_check() -> None:
    assert "both releases would serve" in reasons(behind("traefik", labels=ROUTED))[0]
    by_file = {**ROUTED, "traefik.http.routers.web.service": "web@file"}
    assert reasons(behind("traefik", labels=by_file)) == []
    services = behind("traefik", "start-first", ROUTED)
    assert reasons(services) == []
    assert "leads to a container as soon as it runs" in doubts(stack(services), profile())[0][0]
    services["web"]["healthcheck"] = {"test": ["CMD", "true"], "interval": "1s"}
    assert doubts(stack(services), profile()) == []
    services["web"]["healthcheck"] = {"disable": True}
    assert any("a container that is not ready yet" in text for text in reasons(services))
