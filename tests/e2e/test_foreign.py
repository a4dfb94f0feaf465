"""A Compose project as others write it, from its adoption to its end, without an edit of its files."""

import hashlib
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from .support import Checkout, docker, free_port, leftovers, remove

# What a stack on the Internet looks like: an old `version`, a `.env`, an `env_file`, anchors, a configuration file that
# is mounted, a password in a file, health checks for the database only.
FILES = {
    "docker-compose.yml": """version: "3.8"

x-defaults: &defaults
  restart: always
  stop_grace_period: 1s

services:
  web:
    <<: *defaults
    build: ./web
    env_file: web.env
    depends_on:
      db:
        condition: service_healthy

  db:
    <<: *defaults
    image: postgres:17
    user: postgres
    secrets:
      - db-password
    volumes:
      - db-data:/var/lib/postgresql/data
    environment:
      - POSTGRES_DB=example
      - POSTGRES_PASSWORD_FILE=/run/secrets/db-password
    expose:
      - 5432
    healthcheck:
      test: [ "CMD", "pg_isready" ]
      interval: 1s
      retries: 30

  proxy:
    <<: *defaults
    image: nginx
    volumes:
      - type: bind
        source: ./proxy/nginx.conf
        target: /etc/nginx/conf.d/default.conf
        read_only: true
    ports:
      - "127.0.0.1:${PROXY_PORT}:80"
    depends_on:
      - web

volumes:
  db-data:

secrets:
  db-password:
    file: db/password.txt
""",
    "web/Dockerfile": "# a page\nFROM nginx:1.27-alpine AS site\nCOPY index.html /usr/share/nginx/html/\n",
    "web/index.html": "one",
    "web.env": "GREETING=hello\n",
    "proxy/nginx.conf": "server {\n    listen 80;\n    location / { proxy_pass http://web:80; }\n}\n",
    "db/password.txt": "correct-horse",
}
STAND_INS = """services:
  web: {build: {additional_contexts: {"nginx:1.27-alpine": "docker-image://slipway-base/nginx:1.30"}}}
  db: {image: "slipway-base/postgres:17"}
  proxy: {image: "slipway-base/nginx:1.30"}
"""


class Foreign(Checkout):
    """A project whose settings are where `adopt` has written them."""

    port: int

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the process environment of a task, which finds the project by the settings alone."""
        kept = {key: value for key, value in super().environment().items() if not key.startswith("SLIPWAY_")}
        return {**kept, "SLIPWAY_ROOT": str(self.project_dir), **extra}

    def page(self) -> str:
        """Return what the proxy answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
            return str(answer.read().decode())

    def container(self, service: str) -> str:
        """Return the id of the container of a service."""
        return docker("ps", "-q", "--no-trunc", "--filter", f"name={self.projects[0]}-{service}-1")

    def digests(self) -> dict[str, str]:
        """Return the digests of the project's own files."""
        return {name: hashlib.sha256((self.project_dir / name).read_bytes()).hexdigest() for name in FILES}


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[Foreign]:
    name = f"slipway-foreign-{os.getpid()}"
    project = Foreign(tmp_path / "stack", tmp_path / "stack" / "envs", [name])
    project.port = free_port()
    for path, text in {**FILES, ".env": f"COMPOSE_PROJECT_NAME={name}\nPROXY_PORT={project.port}\n"}.items():
        (project.project_dir / path).parent.mkdir(parents=True, exist_ok=True)
        (project.project_dir / path).write_text(text)
    try:
        yield project
    finally:
        remove(name)
        docker("volume", "rm", "--force", f"{name}_db-data")
    assert leftovers(name) == []


def test_a_stack_as_others_write_it_is_adopted_deployed_twice_and_taken_back(
    foreign: Foreign, request: pytest.FixtureRequest
) -> None:
    before = foreign.digests()
    foreign.inv("adopt", "--project", str(foreign.project_dir), "--yes")
    if not docker("image", "ls", "-q", "slipway-base/postgres:17"):
        request.getfixturevalue("sample")  # makes the stand-ins where no registry can be reached
    if docker("image", "ls", "-q", "slipway-base/postgres:17"):
        (foreign.project_dir / "stand-ins.yml").write_text(STAND_INS)
        files = "docker-compose.yml:docker-compose.slipway.yml:stand-ins.yml"
        (foreign.envs_dir / "dev.local.env").write_text(f"COMPOSE_FILE={files}\n")
    foreign.inv("env.check", "--env", "dev")
    plan = {change["service"]: change["action"] for change in foreign.json("deploy.plan")["changes"]}
    assert plan == {"web": "create", "db": "create", "proxy": "create"}

    foreign.inv("deploy.dev")
    assert foreign.page() == "one"
    foreign.inv("db.shell", stdin="create table visits (at text); insert into visits values ('noon');")
    database, proxy = foreign.container("db"), foreign.container("proxy")

    (foreign.project_dir / "web" / "index.html").write_text("two")
    foreign.inv("deploy.dev")
    assert foreign.page() == "two"
    foreign.inv("deploy.rollback", "--yes")
    assert foreign.page() == "one"
    assert (foreign.container("db"), foreign.container("proxy")) == (database, proxy), "nothing of theirs has changed"
    assert "noon" in foreign.inv("db.shell", stdin="select at from visits;").stdout

    foreign.inv("deploy.down", "--yes")
    assert docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={foreign.projects[0]}") == ""
    assert docker("volume", "ls", "-q", "--filter", f"name={foreign.projects[0]}_db-data") != ""
    (foreign.project_dir / "web" / "index.html").write_text("one")
    assert foreign.digests() == before
