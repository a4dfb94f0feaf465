"""Projects as people write them for one host, and the keys of each at which a cluster would do something else."""

from typing import Any

from tasks.kube.plan.source import HostFile, ImageFacts

IMAGE = "registry.example.com/shop/web:1"
CONF = HostFile("directory", {"app.yml": b"a: 1\n"})
BUILT = {"build": {"context": "/p/web", "dockerfile": "Dockerfile"}, "image": IMAGE}
DATABASE = {
    "image": "postgres:17",
    "environment": {"POSTGRES_PASSWORD_FILE": "/run/secrets/password"},
    "secrets": [{"source": "password"}],
    "volumes": [{"type": "volume", "source": "data", "target": "/var/lib/postgresql/data", "volume": {}}],
}
TOP: dict[str, Any] = {
    "volumes": {"data": {"name": "shop_data"}},
    "secrets": {"password": {"name": "shop_password", "file": "/p/password.txt"}},
}


def mounted(source: str, target: str, **fields: Any) -> dict[str, Any]:
    return {"type": "bind", "source": source, "target": target, "bind": {"create_host_path": True}, **fields}


def develops(**fields: Any) -> dict[str, Any]:
    """A service that is built, with its sources mounted over those of the image, and the image's modules kept."""
    modules = {"type": "volume", "target": "/code/modules", "volume": {}}
    return {"web": {**BUILT, "volumes": [mounted("/p/web", "/code"), modules], **fields}}


PROJECTS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "an application and its database": ({"web": BUILT, "db": DATABASE}, set()),
    "a proxy with a file of the project": (
        {"web": BUILT, "proxy": {"image": "nginx", "volumes": [mounted("/p/nginx.conf", "/etc/nginx/nginx.conf")]}},
        set(),
    ),
    "configuration in a directory": ({"m": {"image": "p", "volumes": [mounted("/p/conf", "/etc/monitor")]}}, set()),
    "sources over those of the image": (develops(), set()),
    "sources that the image has not got": (
        {"web": {**BUILT, "volumes": [mounted("/p/web", "/srv")]}},
        {"services.web.volumes./srv"},
    ),
    "an engine's socket": (
        {"m": {"image": "p", "volumes": [mounted("/var/run/docker.sock", "/var/run/docker.sock")]}},
        {"services.m.volumes./var/run/docker.sock"},
    ),
    "data of the host": (
        {"game": {"image": "game", "volumes": [mounted("/home/me/data", "/data")]}},
        {"services.game.volumes./data"},
    ),
    "the network of the host": (
        {"media": {"image": "m", "network_mode": "host"}},
        {"services.media.network_mode"},
    ),
    "WebAssembly": ({"fn": {"image": IMAGE, "platform": "wasi/wasm", "runtime": "io.containerd.wasmedge.v1"}}, set()),
    "WebAssembly without a runtime": (
        {"fn": {"image": IMAGE, "platform": "wasi/wasm"}},
        {"services.fn.platform"},
    ),
    "another signal of an image that is not known": (
        {"web": {**BUILT, "stop_signal": "SIGINT"}},
        {"services.web.stop_signal"},
    ),
}
FILES = {
    "/p/nginx.conf": HostFile("file", {"": b"events {}\n"}),
    "/p/conf": CONF,
    "/p/web": HostFile("directory", {"main.py": b"print()\n"}),
    "/var/run/docker.sock": HostFile("socket", tracked=False),
    "/home/me/data": HostFile("missing", tracked=False),
}
IMAGES = {"web": ImageFacts(IMAGE, copies=frozenset({"/code"}))}
