"""A stack of everything that a deploy treats differently, and what changes in it: files, settings, and what runs."""

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.support import Checkout, docker, free_port

_BASE, _PROXY = "slipway-base/debian:trixie", "slipway-base/nginx:1.30"
_HEALTH = {"test": ["CMD", "true"], "interval": "30s", "retries": 3, "start_period": "9s", "start_interval": "300ms"}
_SLEEPS = ["sleep", "infinity"]
_CONF = """pid /tmp/nginx.pid; error_log /dev/stderr warn; worker_processes 1; events {} %s
    access_log off;
    client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c; uwsgi_temp_path /tmp/d;
    scgi_temp_path /tmp/e;
}
"""
_FILES = {
    "web/Dockerfile": f"FROM {_BASE} AS build\nARG KIND=plain\nCOPY source.txt /source.txt\nRUN echo $KIND > /kind\n"
    'FROM build\nCOPY page /page\nCMD ["sleep", "infinity"]\n',
    "conf/nginx.conf": _CONF
    % """worker_shutdown_timeout 5s; http { keepalive_min_timeout 1s; resolver 127.0.0.11 valid=1s ipv6=off;
    include /etc/nginx/upstreams/*.conf;
    server { listen 8080; location / { proxy_pass http://app; } }""",
    "app/nginx.conf": _CONF % "http { server { listen 80; location / { return 200; } }",
}
_TOUCHED = (
    "web/source.txt", "web/page/index.html", "settings/a.conf", "migrations/001_a.sql", "token.txt", "page.conf",
    "more/a.txt", "app.env",
)  # fmt: skip


class Mutations:
    """The files of a project and what can be changed of them; a kind of change is one of ``kinds``."""

    def __init__(self, checkout: Checkout, chance: random.Random) -> None:
        self.checkout, self.random = checkout, chance
        self.name, self.serial, self.profiles = checkout.projects[0], 0, False
        self.ports = {"renamed": free_port(), "front": free_port()}
        self.model = self._first()
        self.extra = copy.deepcopy(self.model["services"]["extra"])
        self.kinds: dict[str, Callable[[], str]] = {
            "image, another name": self._image_name,
            "image, another content": self._image_content,
            "environment": self._environment,
            "env_file": lambda: self._written("app.env", f"VALUE_OF_FILE={self._next()}\n"),
            "env_file, another": self._env_file,
            "config of a file": lambda: self._written("page.conf"),
            "config in the Compose file": self._inline,
            "secret": lambda: self._written("token.txt"),
            "mounted file": lambda: self._written("settings/a.conf"),
            "mount": self._mount,
            "network options": self._network_options,
            "networks of a service": self._networks,
            "replicas": self._replicas,
            "rename": self._rename,
            "removal": self._removal,
            "new service": self._new,
            "command": self._command,
            "labels": self._labels,
            "health check": self._health,
            "depends_on": self._depends,
            "profile": self._profile,
            "build context": lambda: self._written(self.random.choice(("web/source.txt", "web/page/index.html"))),
            "build argument": self._argument,
            "build, ignored file": lambda: self._written("web/README.md"),
            "job, new migration": lambda: self._written(f"migrations/{self._next():03}_more.sql"),
            "job, another command": self._job,
            "another key": self._key,
            "rollout": self._rollout,
            "proxy file": self._proxy_file,
            "stopped by hand": lambda: self._engine("stop -t 1"),
            "paused by hand": lambda: self._engine("pause"),
            "removed by hand": lambda: self._engine("rm -f"),
            "killed": lambda: self._engine("kill"),
            "restarted by hand": lambda: self._engine("restart -t 1"),
            "disconnected by hand": lambda: self._engine("network disconnect -f"),
            "nothing": lambda: "nothing",
        }
        self.deck: list[str] = []

    def _first(self) -> dict[str, Any]:
        usual = {"init": True, "stop_grace_period": "1s", "healthcheck": dict(_HEALTH), "environment": {"VALUE": "0"}}
        sleeps = {**usual, "image": _BASE, "command": _SLEEPS}
        back = {**sleeps, "networks": ["back"]}
        serves = ["nginx", "-c", "/conf/nginx.conf", "-g", "daemon off;"]
        check = ["nginx", "-t", "-q", "-c", "/conf/nginx.conf"]
        first_start = {"update_config": {"order": "start-first", "monitor": "1s"}}
        services: dict[str, Any] = {
            "db": {**back, "volumes": ["data:/data"]},
            "migrate": {
                "image": _BASE, "command": ["ls", "/migrations"], "volumes": ["./migrations:/migrations:ro"],
                "depends_on": {"db": {"condition": "service_healthy"}}, "networks": ["back"],
                "x-slipway": {"job": "migrate"},
            },
            "web": {**usual, "build": {"context": "./web"}, "networks": ["back"], "depends_on": ["db"]},
            "side": {**sleeps, "network_mode": "service:web"},
            "api": {
                **back, "image": f"{self.name}-image:1", "deploy": {"replicas": 1, **first_start},
                "depends_on": {"migrate": {"condition": "service_completed_successfully"}},
            },
            "configured": {
                **back, "volumes": ["./settings:/settings:ro"],
                "x-slipway": {"reload": {"check": ["test", "-e", "/settings/a.conf"], "signal": "CONT"}},
            },
            "sealed": {**back, "secrets": ["token"]},
            "filed": {**back, "env_file": ["app.env"], "configs": ["page"]},
            "inline": {**back, "configs": ["inline"], "depends_on": {"db": {"condition": "service_healthy",
                       "restart": True}}},
            "many": {**back, "image": f"{self.name}-image:2", "deploy": {"replicas": 2}},
            "extra": {**back, "ports": [f"127.0.0.1:{self.ports['renamed']}:80"]},
            "debug": {**back, "profiles": ["debug"]},
            "app": {
                "image": _PROXY, "entrypoint": serves, "networks": ["back"], "expose": ["80"],
                "volumes": ["./app:/conf:ro"],
                "healthcheck": {**_HEALTH, "test": ["CMD", "curl", "-so", "/dev/null", "http://127.0.0.1:80/"]},
                "environment": {"VALUE": "0"}, "x-slipway": {"rollout": "blue-green"},
                "stop_grace_period": "1s", "deploy": {"update_config": {"monitor": "1s"}},
            },
            "front": {
                "image": _PROXY, "entrypoint": serves,
                "volumes": ["./conf:/conf:ro", "upstreams:/etc/nginx/upstreams"], "networks": ["back"],
                "ports": [f"127.0.0.1:{self.ports['front']}:8080"], "depends_on": {"app": {"condition":
                "service_healthy"}}, "stop_grace_period": "1s", "environment": {"VALUE": "0"},
                "x-slipway": {
                    "reload": {"check": check},
                    "proxy": {"upstreams": "/etc/nginx/upstreams", "check": check, "workers": "nginx: worker"},
                },
            },
        }  # fmt: skip
        return {
            "services": services,
            "networks": {"back": {"driver_opts": {"com.docker.network.driver.mtu": "1500"}}, "second": {}},
            "volumes": {"data": {}, "upstreams": {}, "further": {}},
            "configs": {"page": {"file": "./page.conf"}, "inline": {"content": "0"}},
            "secrets": {"token": {"file": "./token.txt"}},
        }

    # Writing

    def begin(self) -> None:
        """Write every file and make the two images that services have by name."""
        for path, text in {**_FILES, **dict.fromkeys(_TOUCHED, "0\n"), "app.env": "VALUE_OF_FILE=0\n"}.items():
            self._write(path, text)
        for number in (1, 2):
            self._image(number)
        self.write()

    def end(self) -> None:
        """Remove the images that ``begin`` made."""
        docker("image", "rm", "-f", *(f"{self.name}-image:{number}" for number in (1, 2)), check=False)

    def write(self) -> None:
        """Write the Compose file and the profile."""
        self._write("compose.yaml", json.dumps(self.model, indent=1))
        lines = f"COMPOSE_PROJECT_NAME={self.name}\nCOMPOSE_FILE=compose.yaml\n"
        more = "COMPOSE_PROFILES=debug\n" if self.profiles else ""
        (self.checkout.envs_dir / "dev.env").write_text(lines + more)

    def _write(self, path: str, text: str) -> None:
        file = Path(self.checkout.project_dir, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def _next(self) -> int:
        self.serial += 1
        return self.serial

    def _image(self, number: int) -> None:
        self._write("image/Dockerfile", f"FROM {_BASE}\nCOPY content.txt /content.txt\n")
        self._write("image/content.txt", f"{self._next()}\n")
        docker("build", "-q", "-t", f"{self.name}-image:{number}", str(self.checkout.project_dir / "image"))

    # What changes

    def draw(self) -> list[tuple[str, str]]:
        """Change one to three things; return their kinds and what was done in words."""
        done: list[tuple[str, str]] = []
        for _ in range(self.random.choice((1, 1, 2, 3))):
            if not self.deck:
                self.deck = self.random.sample([*self.kinds], len(self.kinds))
            kind = self.deck.pop()
            done.append((kind, self.kinds[kind]()))
        self.write()
        return done

    def _service(self, *without: str) -> tuple[str, dict[str, Any]]:
        name = self.random.choice([name for name in self.model["services"] if name not in ("migrate", *without)])
        return name, self.model["services"][name]

    def _written(self, path: str, text: str = "") -> str:
        self._write(path, text or f"{self._next()}\n")
        return f"{path} written"

    def _image_name(self) -> str:
        name = self.random.choice(("api", "many"))
        own = self.model["services"][name]
        own["image"] = f"{self.name}-image:{2 if own['image'].endswith(':1') else 1}"
        return f"{name} has {own['image'].removeprefix(self.name)}"

    def _image_content(self) -> str:
        number = self.random.choice((1, 2))
        self._image(number)
        return f"image:{number} has another content"

    def _environment(self) -> str:
        name, own = self._service()
        own["environment"] = {"VALUE": str(self._next())}
        return f"environment of {name}"

    def _env_file(self) -> str:
        name, own = self._service("filed")
        self._write(f"{name}.env", f"MORE={self._next()}\n")
        own["env_file"] = [] if own.get("env_file") else [f"{name}.env"]
        return f"env_file of {name} is {own['env_file']}"

    def _inline(self) -> str:
        self.model["configs"]["inline"]["content"] = str(self._next())
        return "config inline"

    def _mount(self) -> str:
        name, own = self._service("front", "app")
        mount = self.random.choice(("./more:/more:ro", "further:/further", "/anonymous"))
        volumes = own.setdefault("volumes", [])
        (volumes.remove if mount in volumes else volumes.append)(mount)
        return f"{name} {'has' if mount in volumes else 'has no more'} {mount}"

    def _network_options(self) -> str:
        network = self.model["networks"]["back"]
        if self.random.random() < 0.5:
            mtu = network["driver_opts"]["com.docker.network.driver.mtu"]
            network["driver_opts"] = {"com.docker.network.driver.mtu": "1400" if mtu == "1500" else "1500"}
            return "network back has another mtu"
        network["labels"] = {"note": str(self._next())}
        return "network back has another label"

    def _networks(self) -> str:
        name, own = self._service("side")
        own["networks"] = {"back": {"aliases": [f"alias-{self._next()}"]}} if self.random.random() < 0.5 else (
            ["back"] if "second" in own["networks"] else ["back", "second"]
        )  # fmt: skip
        return f"networks of {name}: {json.dumps(own['networks'])}"

    def _replicas(self) -> str:
        name = self.random.choice(("api", "many", "app"))
        deploy = self.model["services"][name]["deploy"]
        deploy["replicas"] = self.random.choice([n for n in (1, 2, 3) if n != deploy.get("replicas", 1)])
        return f"{name} has {deploy['replicas']} replicas"

    def _rename(self) -> str:
        services = self.model["services"]
        old = next((name for name in services if name.startswith("extra")), "")
        if not old:
            return self._new()
        new = f"extra{self._next()}"
        services[new] = services.pop(old)
        return f"{old} is called {new}"

    def _removal(self) -> str:
        services = self.model["services"]
        name = next((name for name in services if name.startswith(("extra", "new"))), "")
        if not name:
            return self._new()
        del services[name]
        return f"{name} is gone"

    def _new(self) -> str:
        services = self.model["services"]
        there = any(name.startswith("extra") for name in services)
        name = f"new{self._next()}" if there else f"extra{self._next()}"
        own = copy.deepcopy(self.extra)
        if there:
            del own["ports"]
        services[name] = own
        return f"{name} is new"

    def _command(self) -> str:
        name, own = self._service("app", "front")
        own["command"] = ["sleep", str(1_000_000 + self._next())]
        return f"command of {name}"

    def _labels(self) -> str:
        name, own = self._service()
        own["labels"] = {"note": str(self._next())}
        return f"label of {name}"

    def _health(self) -> str:
        name, own = self._service("front", "app")
        own["healthcheck"] = {**_HEALTH, "retries": 3 + self._next()}
        if name not in ("api", "db") and self.random.random() < 0.3:
            own["healthcheck"] = {"disable": True}
        return f"health check of {name}: {json.dumps(own['healthcheck'])}"

    def _depends(self) -> str:
        name, own = self._service("db", "api", "front", "app")
        others = (
            ["db"],
            {"db": {"condition": "service_started", "restart": True}},
            {"db": {"condition": "service_started"}, "sealed": {"condition": "service_started"}},
        )
        own["depends_on"] = self.random.choice(others if name != "sealed" else others[:2])
        return f"{name} depends on {json.dumps(own['depends_on'])}"

    def _profile(self) -> str:
        self.profiles = not self.profiles
        return f"profile debug is {'on' if self.profiles else 'off'}"

    def _argument(self) -> str:
        self.model["services"]["web"]["build"]["args"] = {"KIND": str(self._next())}
        return "build argument of web"

    def _job(self) -> str:
        self.model["services"]["migrate"]["command"] = ["ls", "-l", "/migrations", f"/{'./' * self._next()}"]
        return "command of migrate"

    def _key(self) -> str:
        name, own = self._service("app", "front", "side")
        number = self._next()
        key, value = self.random.choice(
            [
                ("hostname", f"host{number}"), ("user", str(1000 + number)), ("mem_limit", f"{64 + number}m"),
                ("restart", "always" if own.get("restart") != "always" else "no"),
                ("extra_hosts", [f"h:10.0.0.{number}"]),
                ("read_only", not own.get("read_only")), ("cap_drop", ["ALL"] if not own.get("cap_drop") else []),
                ("tmpfs", [f"/tmp{number}"]), ("ulimits", {"nofile": 1000 + number}),
                ("working_dir", f"/tmp/w{number}"),
                ("stop_grace_period", "2s" if own.get("stop_grace_period") == "1s" else "1s"),
                ("logging", {"driver": "json-file", "options": {"max-size": f"{number}m"}}),
                ("expose", [str(2000 + number)]), ("shm_size", f"{64 + number}m"), ("oom_score_adj", number),
            ]
        )  # fmt: skip
        own[key] = value
        return f"{key} of {name}"

    def _rollout(self) -> str:
        name = self.random.choice(("many", "api"))
        deploy = self.model["services"][name]["deploy"]
        first = (deploy.get("update_config") or {}).get("order") == "start-first"
        deploy["update_config"] = {"order": "stop-first" if first else "start-first", "monitor": "1s"}
        self.model["services"][name]["environment"] = {"VALUE": str(self._next())}
        return f"{name} is now {deploy['update_config']['order']}, and has another environment"

    def _proxy_file(self) -> str:
        self._write("conf/nginx.conf", f"# {self._next()}\n{_FILES['conf/nginx.conf']}")
        return "conf/nginx.conf"

    def _engine(self, verb: str) -> str:
        filters = ("--filter", f"label=com.docker.compose.project={self.name}", "--format", "{{.Names}}")
        running = [
            name for name in docker("ps", *filters).split() if verb != "network disconnect -f" or "-side-" not in name
        ]
        container = self.random.choice(sorted(running))
        network = [f"{self.name}_back"] if verb.startswith("network") else []
        docker(*verb.split(), *network, container)
        return f"docker {verb} {container.removeprefix(self.name)}"
