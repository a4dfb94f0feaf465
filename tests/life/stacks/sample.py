"""The sample stack: no step of its week may lose a request, except where the plan foresaw it."""

import json
import shutil
import ssl
import subprocess
from functools import cache
from pathlib import Path

from tests.e2e.support import NOT_COPIED, ROOT, free_port
from tests.life.load import Api
from tests.life.repository import Repository
from tests.life.stack import Stack, new_name
from tests.life.steps import (
    NOTHING,
    Change,
    changed,
    commit,
    gone,
    network,
    replaced,
    reverted,
    second_clone,
    together,
    with_tag,
    written,
)
from tests.life.week import KILLED, RollBack, Step, back_to, killed

_KEPT = ("database", "nginx")
_USERS = "docker_project/app/src/handlers/users.go"
_STORE = "docker_project/app/src/models/store.go"
_MIGRATIONS = "docker_project/database/migrations"
_CONFIGURATION = "docker_project/nginx/conf/nginx.conf"
_STACK = "docker_project/docker-compose.yml"
COMPOSE = "docker_project/docker-compose.prod.yml"
_SERVICE = """
  {name}:
    image: ${{IMAGE_REPOSITORY:-slipway}}/app:${{IMAGE_TAG:-dev}}
    restart: always
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    environment:
      DB_HOST: database
      DB_NAME: slipway
      DB_USER: slipway
      DB_PASSWORD_FILE: /run/secrets/database_password
    secrets: [database_password]
    networks: [backend, frontend]
    ports: ["127.0.0.1:{port}:8000"]
    depends_on:
      migrate: {{condition: service_completed_successfully}}
"""


def make(base: Path) -> Stack:
    """Make a repository of the sample stack; its secrets are outside of it, as on a host."""
    project, directory = new_name("sample"), base / "checkout"
    shutil.copytree(
        ROOT / "docker_project", directory / "docker_project",
        ignore=lambda path, names: NOT_COPIED(path, names) | shutil.ignore_patterns(".cache")(path, names),
    )  # fmt: skip
    shutil.copytree(ROOT / "envs", directory / "envs", ignore=shutil.ignore_patterns("*.local.env"))
    shutil.copy(ROOT / ".gitignore", directory)
    repository = Repository(directory)
    https, certificate = free_port(), base / "tls" / "tls.crt"
    secrets = {"SECRETS_DIR": str(base / "secrets"), "TLS_DIR": str(base / "tls"), "SMOKE_CA": str(certificate)}
    stack = Stack(
        project_dir=directory / "docker_project", envs_dir=directory / "envs", projects=[project],
        kind="sample", project=project, repository=repository, project_path="docker_project", database="database",
        api=Api(https, "/api/users", "/api/users?limit=5", _user, lambda: _trusting(certificate, _stamp(certificate))),
        query=("psql", "-U", "slipway", "-d", "slipway", "-Atc", "SELECT name FROM users"),
        local={"COMPOSE_PROJECT_NAME": project, "IMAGE_REPOSITORY": project, "HTTP_PORT": str(free_port()),
               "HTTPS_PORT": str(https), **secrets},
    )  # fmt: skip
    repository.start("The first version")
    repository.tag("v1.0.0")
    stack.use(repository)
    _make_secrets(stack)
    return stack


def _make_secrets(stack: Stack) -> None:
    """Let setup make them, as it does for development: nothing makes those of staging."""
    layer = stack.envs_dir / "dev.local.env"
    values = {key: stack.local[key] for key in ("SECRETS_DIR", "TLS_DIR")}
    values["COMPOSE_PROJECT_NAME"] = f"{stack.project}-dev"  # which nothing deploys
    layer.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    stack.inv("setup", SLIPWAY_ENV="dev")
    layer.unlink()


def _user(key: str) -> str:
    return json.dumps({"name": key, "email": f"{key}@example.net"})


def _stamp(certificate: Path) -> float:
    return certificate.stat().st_mtime if certificate.exists() else 0.0


@cache
def _trusting(certificate: Path, _changed: float) -> ssl.SSLContext:
    """Return a TLS context that trusts the certificate and those that it replaced."""
    context = ssl.create_default_context(cafile=str(certificate))
    for former in certificate.parent.glob("former*.crt"):
        context.load_verify_locations(cafile=str(former))
    return context


def code(stack: Stack) -> None:
    stack.repository.append(_USERS, f"\nvar _ = {len(stack.repository.head)}\n")


def column(number: str, name: str) -> Change:
    text = f"-- +goose Up\nALTER TABLE users ADD COLUMN {name} text NOT NULL DEFAULT '';\n"
    text += f"-- +goose Down\nALTER TABLE users DROP COLUMN {name};\n"
    return written(f"{_MIGRATIONS}/{number}_{name}.sql", text)


COLUMN_AND_CODE = together(
    column("004", "motto"), replaced(_STORE, "WHERE id = $1", "WHERE motto IS NOT NULL AND id = $1")
)
WRONG_MIGRATION = written(f"{_MIGRATIONS}/005_wrong.sql", "-- +goose Up\nALTER TABLE nowhere ADD COLUMN wrong text;\n")
EXIT = written("docker_project/app/src/broken.go", 'package main\n\nimport "os"\n\nfunc init() { os.Exit(7) }\n')


def add_service(stack: Stack) -> None:
    text = _SERVICE.format(name="extra", port=free_port())
    stack.repository.replace(COMPOSE, "\n  nginx:\n", f"{text}\n  nginx:\n")


def remove_service(stack: Stack) -> None:
    text = (stack.repository.directory / COMPOSE).read_text()
    stack.repository.replace(COMPOSE, text[text.index("\n  extras:") : text.index("\n  nginx:")], "")


_NETWORK = together(
    replaced(_STACK, "networks: [frontend, backend]\n    mem", "networks: [frontend, backend, metrics]\n    mem"),
    replaced(_STACK, "\n  backend:\n    internal", "\n  metrics:\n    internal: true\n  backend:\n    internal"),
)
_OPEN_NETWORK = replaced(_STACK, "\n  backend:\n    internal: true\n", "\n  backend:\n")


def replace_certificate(stack: Stack) -> None:
    """Replace certificate and key by rename, as tools do; clients still trust the former certificate."""
    directory = Path(stack.local["TLS_DIR"])
    number = len(list(directory.glob("former*.crt")))
    shutil.copy(directory / "tls.crt", directory / f"former{number}.crt")
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
            "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
            str(directory / "new.key"), "-out", str(directory / "new.crt")]  # fmt: skip
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    for kind in ("key", "crt"):
        new = directory / f"new.{kind}"
        new.chmod(0o644)
        new.replace(directory / f"tls.{kind}")


def presented(stack: Stack) -> str:
    """Return what is wrong if nginx presents another certificate than that in the file."""
    wanted = (Path(stack.local["TLS_DIR"]) / "tls.crt").read_text().strip()
    found = ssl.get_server_certificate((stack.api.host, stack.api.port), timeout=60).strip()
    return "" if found == wanted else "the former certificate is presented"


def comment_configuration(stack: Stack) -> None:
    stack.repository.append(_CONFIGURATION, "# A comment.\n")


def same_configuration(stack: Stack) -> str:
    actual = stack.exec("nginx", "cat", "/etc/nginx/conf/nginx.conf")
    return (
        "" if actual == (stack.repository.directory / _CONFIGURATION).read_text().strip() else "nginx has the old file"
    )


def _header(stack: Stack) -> None:
    stack.repository.append("docker_project/nginx/conf/api.conf", 'add_header X-Week "2" always;\n')


def _has_header(stack: Stack) -> str:
    answer = stack.exec("nginx", "curl", "-si", "http://127.0.0.1:8081/health")
    return "" if "x-week: 2" in answer.lower() else "nginx was not reloaded"


def log_level(stack: Stack) -> None:
    stack.repository.replace("envs/staging.env", "HEALTH_TIMEOUT", "LOG_LEVEL=debug\nHEALTH_TIMEOUT")


def _kept(name: str, change: Change, serves: str = "new") -> Step:
    """Return a step that must not touch database and proxy."""
    return Step(name, commit(change, name), kept=_KEPT, serves=serves)


CODE = _kept("code", code)
COLUMN = _kept("a migration adds a column", column("003", "nickname"), serves="")
FAILING = Step("a migration fails", commit(WRONG_MIGRATION, "Wrong"), code=(4,), kept=(*_KEPT, "app"), serves="old")
COMMENT = Step(
    "a comment in nginx.conf", commit(comment_configuration, "Say something"), kept=_KEPT, check=same_configuration
)  # fmt: skip
CERTIFICATE = Step("another certificate", replace_certificate, kept=_KEPT, check=presented)
BACK = Step("roll back one", act=RollBack(1), kept=_KEPT, check=back_to(1))

WEEK = (
    NOTHING,
    CODE,
    Step("a version tag", with_tag("v1.1.0"), kept=_KEPT, check=changed("1.1.0")),
    NOTHING,
    COLUMN,
    _kept("a migration and code", COLUMN_AND_CODE),
    FAILING,
    Step("the migration is taken back", reverted, kept=_KEPT),
    NOTHING,
    Step("an image that does not start", commit(EXIT, "Exit"), code=(4,), kept=_KEPT, serves="old"),
    Step("the image is taken back", reverted, kept=_KEPT),
    Step("configuration: the log level", commit(log_level, "More log"), kept=_KEPT),
    NOTHING,
    COMMENT,
    Step("proxy configuration: a header", commit(_header, "A header"), kept=_KEPT, check=_has_header),
    _kept("one service more, with a port", add_service, serves=""),
    Step("it is renamed", commit(replaced(COMPOSE, "\n  extra:", "\n  extras:"), "Rename"),
         kept=_KEPT, check=gone("extra", "extras")),
    Step("it is removed", commit(remove_service, "Remove"), kept=_KEPT,
        check=gone("extras")),
    NOTHING,
    Step("one network more", commit(_NETWORK, "Metrics"), kept=_KEPT, check=network("metrics", "len .Containers", "1")),
    Step("a network is internal no more", commit(_OPEN_NETWORK, "Open"), kept=_KEPT,
        check=network("backend", ".Internal", "false")),
    CERTIFICATE,
    NOTHING,
    _kept("code again", code),
    BACK,
    Step("forward again", kept=_KEPT),
    Step("roll back two", act=RollBack(2), kept=_KEPT, check=back_to(2)),
    Step("forward from there", kept=_KEPT),
    NOTHING,
    Step("killed at its first container", commit(code, "Code"), act=killed(), code=KILLED, kept=_KEPT),
    Step("deployed after that", kept=_KEPT),
    Step("killed at its third", commit(code, "Code"), act=killed(2), code=KILLED, kept=_KEPT),
    Step("deployed after that, too", kept=_KEPT),
    NOTHING,
    Step("a second clone, the same commit", second_clone, code=(0, 3), kept=(*_KEPT, "app"), serves="old"),
    Step("code from the second clone", commit(code, "Code"), code=(0, 3), kept=("database",)),
)  # fmt: skip


SHORT = (CODE, COLUMN, NOTHING, CERTIFICATE, COMMENT, BACK, FAILING)
