"""Compose models that nobody wrote: services with any keys, names that are hard to keep apart, secrets everywhere."""

from typing import Any

from hypothesis import strategies as st

from tasks.kube.plan.source import HostFile, ImageFacts

PLANTED = "pLanted-s3cret"  # the value of every secret
SECRET = "${slipway:DB_PASSWORD}"  # what the model has in place of one
NAMES = ("web", "my_api", "A.B", "db", "job-1", "x" * 60)
NETWORKS: dict[str, Any] = {
    "default": {"name": "shop_default"},
    "back": {"name": "shop_back", "internal": True},
    "Outer_net": {"name": "outer_net", "external": True},
}
VOLUMES: dict[str, Any] = {
    "data": {"name": "shop_data", "x-slipway": {"size": "2Gi"}},
    "Shared_files": {"name": "shop_Shared_files", "x-slipway": {"access": "ReadWriteMany", "class": "nfs"}},
    "cache": {"name": "shop_cache", "x-slipway": {"keep": False}},
    "old": {"name": "old-claim", "external": True},
}
SECRETS: dict[str, Any] = {
    "token": {"name": "shop_token", "file": "/p/token"},
    "key": {"name": "shop_key", "environment": "API_KEY"},
    "tls": {"name": "shop-tls", "external": True, "x-slipway": {"key": "tls.crt"}},
}
CONFIGS: dict[str, Any] = {
    "conf": {"name": "shop_conf", "content": "a\n\n  b: $$(x)\n"},
    "file": {"name": "shop_file", "file": "/p/app.conf"},
}
FILES = {
    "/p/app.conf": HostFile("file", {"": b"server web:8000;\n{{ x }}\n"}),
    "/p/static": HostFile("directory", {"a.html": b"<p>", "sub/b.bin": bytes(range(256))}),
    "/etc/hosts": HostFile("file", {"": b""}, tracked=False),
}
IMAGES = (
    ImageFacts(),
    ImageFacts(user="app", uid=1000, gid=1000, ports=("8000/tcp",), shell=True, users={"app": (1000, 1000)}),
    ImageFacts(shell=False, health={"Test": ["CMD", "/check"], "Interval": 2_000_000_000}, command=("run",)),
    ImageFacts(uid=0, volumes=("/var/cache",), shell=True, entrypoint=("/entry",)),
)
_TIMES = st.sampled_from(["250ms", "1s", "10s", "1m30s"])
_SIZES = st.sampled_from(["64m", "134217728", "1g"])
_TEXTS = st.sampled_from(
    ["", "yes", "1.10", "$$(date)", "a$$b", "http://db:5432/x", f"p://u:{SECRET}@db/x", SECRET, "é"]
)
_WORDS = st.lists(st.sampled_from(["run", "true", "$$(A)", "--x=1", f"--pw={SECRET}", "a b"]), max_size=3)
_CHECKS = st.one_of(
    st.just({"test": ["NONE"]}),
    st.fixed_dictionaries(
        {"test": st.sampled_from([["CMD", "/check", "-x"], ["CMD-SHELL", f"check '{SECRET}' || exit 1"]])},
        optional={"interval": _TIMES, "timeout": _TIMES, "start_period": _TIMES, "start_interval": _TIMES},
    ),
)
_MOUNTS = st.sampled_from(
    [
        {"type": "volume", "source": "data", "target": "/data"},
        {"type": "volume", "source": "Shared_files", "target": "/srv/Shared", "read_only": True},
        {"type": "volume", "source": "cache", "target": "/var/cache"},
        {"type": "volume", "source": "old", "target": "/old"},
        {"type": "volume", "target": "/anonymous"},
        {"type": "bind", "source": "/p/app.conf", "target": "/etc/app.conf", "read_only": True},
        {"type": "bind", "source": "/p/static", "target": "/srv/static", "read_only": True},
        {"type": "bind", "source": "/etc/hosts", "target": "/etc/h"},
        {"type": "tmpfs", "target": "/run/x", "tmpfs": {"size": "1048576", "mode": 448}},
    ]
)
_PORTS = st.sampled_from(
    [
        {"mode": "ingress", "target": 80, "published": "8080", "protocol": "tcp"},
        {"mode": "ingress", "target": 53, "published": "53", "protocol": "udp"},
        {"mode": "ingress", "target": 53, "published": "53", "protocol": "tcp", "name": "a-long-name-of-a-port"},
        {"mode": "host", "target": 5432, "host_ip": "127.0.0.1", "published": "5432", "protocol": "tcp"},
    ]
)
_UPDATES = st.fixed_dictionaries(
    {},
    optional={
        "order": st.sampled_from(["start-first", "stop-first"]),
        "parallelism": st.integers(0, 3),
        "monitor": _TIMES,
        "delay": _TIMES,
        "failure_action": st.sampled_from(["pause", "continue", "rollback"]),
        "max_failure_ratio": st.just(0.5),
    },
)
_DEPLOYS = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["replicated", "global", "replicated-job"]),
        "replicas": st.integers(0, 3),
        "update_config": _UPDATES,
        "labels": st.just({"team": "a b", "helm.sh/hook": "pre-install"}),
        "resources": st.just({"limits": {"cpus": 0.5, "memory": "134217728"}, "reservations": {"cpus": 0.1}}),
        "endpoint_mode": st.sampled_from(["vip", "dnsrr"]),
        "placement": st.just({"constraints": ["node.role == worker"]}),
    },
)
_EXTENSIONS = st.fixed_dictionaries(
    {},
    optional={
        "rollout": st.sampled_from(["recreate", "start-first", "blue-green", "canary"]),
        "job": st.sampled_from(["migrate", "seed", "once", "test"]),
        "liveness": st.just(True),
        "scale": st.just({"min": 2, "max": 5, "cpu": "70%"}),
        "ingress": st.sampled_from([{"host": "a.example"}, {"host": "b.example", "port": 80, "tls": "issuer:le"}]),
        "reload": st.just({"check": ["true"]}),
        "settle": _TIMES,
        "smoke": st.just([{"from": "container", "url": "http://localhost:8000/ready"}]),
        "accept": st.just({"KUBE-HOST-PATH": "a reason", "KUBE-PRIVILEGED": "a reason"}),
    },
)
_KEYS: dict[str, Any] = {
    "annotations": st.just({"a/b": "c", "slipway/slot": "blue"}),
    "cap_add": st.just(["NET_BIND_SERVICE", "CAP_CHOWN"]),
    "cap_drop": st.just(["ALL"]),
    "command": _WORDS,
    "configs": st.lists(
        st.sampled_from([{"source": "conf"}, {"source": "file", "target": "/etc/f", "mode": "0440"}]),
        max_size=2,
        unique_by=str,
    ),
    "container_name": st.sampled_from(["abc_def", "shop-db"]),
    "cpus": st.just(0.5),
    "deploy": _DEPLOYS,
    "dns": st.just(["1.1.1.1"]),
    "dns_search": st.just(["example.org"]),
    "entrypoint": _WORDS,
    "environment": st.dictionaries(
        st.sampled_from(["A", "discovery.type", "API_TOKEN", "URL", "DB_PORT", "X_PASSWORD"]),
        st.one_of(st.none(), _TEXTS),
    ),
    "expose": st.just(["9000", "9001-9002/udp"]),
    "extra_hosts": st.just(["a=10.0.0.1", "b=host-gateway"]),
    "group_add": st.sampled_from([["1000"], ["audio"]]),
    "healthcheck": _CHECKS,
    "hostname": st.sampled_from(["host", "host_x"]),
    "init": st.just(True),
    "labels": st.just(
        {"ok": "v", "long": "x" * 70, "traefik.http": "Host(`a`)", "slipway.volume.data": "mine", "secret": SECRET[:0]}
    ),
    "mem_limit": _SIZES,
    "network_mode": st.sampled_from(["host", "none", "bridge"]),
    "pid": st.just("host"),
    "pids_limit": st.just(100),
    "platform": st.just("linux/arm64/v8"),
    "ports": st.lists(_PORTS, max_size=3, unique_by=str),
    "post_start": st.just([{"command": ["warm", "$$(x)"]}]),
    "privileged": st.just(True),
    "pull_policy": st.sampled_from(["always", "missing", "build"]),
    "read_only": st.just(True),
    "restart": st.sampled_from(["no", "always", "on-failure:3", "unless-stopped"]),
    "secrets": st.lists(
        st.sampled_from(
            [
                {"source": "token"},
                {"source": "key", "target": "/etc/key", "mode": "0400"},
                {"source": "tls", "target": "x"},
            ]
        ),
        max_size=3,
        unique_by=str,
    ),
    "security_opt": st.sampled_from([["no-new-privileges:true"], ["seccomp=unconfined"], ["label:disable"]]),
    "shm_size": _SIZES,
    "stdin_open": st.just(True),
    "stop_grace_period": _TIMES,
    "stop_signal": st.sampled_from(["SIGINT", "SIGTERM"]),
    "sysctls": st.just({"net.ipv4.ip_unprivileged_port_start": "0", "net.core.somaxconn": "1024"}),
    "tmpfs": st.lists(st.sampled_from(["/tmp:size=64m,mode=1777", "/run:mode=0700,noexec", "/cache"]), unique=True),
    "tty": st.just(True),
    "ulimits": st.just({"nofile": {"soft": 1, "hard": 2}}),
    "user": st.sampled_from(["1000", "65532:65532", "app", "root", "0:0"]),
    "volumes": st.lists(_MOUNTS, max_size=4, unique_by=lambda mount: mount["target"]),
    "working_dir": st.just("/srv"),
    "x-slipway": _EXTENSIONS,
}


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    """Return a model as Compose prints it."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    services = {name: draw(_service(names[:number])) for number, name in enumerate(names)}
    top = {"networks": NETWORKS, "volumes": VOLUMES, "secrets": SECRETS, "configs": CONFIGS}
    return {"name": draw(st.sampled_from(["shop", "my_shop"])), "services": services, **top}


@st.composite
def _service(draw: st.DrawFn, before: list[str]) -> dict[str, Any]:
    keys = draw(st.lists(st.sampled_from(sorted(_KEYS)), max_size=12, unique=True))
    raw: dict[str, Any] = {"image": draw(st.sampled_from(["registry.example/web@sha256:" + "a" * 64, "web:1"]))}
    raw |= {key: draw(_KEYS[key]) for key in keys}
    if "network_mode" not in raw:
        joined = draw(st.lists(st.sampled_from(sorted(NETWORKS)), min_size=1, unique=True))
        raw["networks"] = {name: draw(st.sampled_from([None, {"aliases": ["www"]}])) for name in joined}
    conditions = st.sampled_from(["service_started", "service_healthy", "service_completed_successfully"])
    if before and draw(st.booleans()):
        raw["depends_on"] = {name: {"condition": draw(conditions), "required": True} for name in before}
    return raw
