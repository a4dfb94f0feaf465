"""A Compose project as others write it for one host, on a cluster: its files stay as they are."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.registries import Registry
from tests.e2e.support import docker, until

from .cluster import APP, Cluster
from .foreign import Foreign

TAKES = 75
# No health check, a signal of its own, sources mounted over the image that has them, a password in a file, data.
FILES = {
    "compose.yaml": f"""services:
  web:
    build: .
    stop_signal: SIGINT
    ports:
      - 8000:8080
    volumes:
      - ./site:/srv
    depends_on:
      - db

  db:
    image: {APP}:1
    restart: always
    user: "1000:1000"
    command: sh -c 'cd /data; test -e rows || cat /run/secrets/db-password > rows; exec httpd -f -p 8080 -h /data'
    secrets:
      - db-password
    expose:
      - 8080
    volumes:
      - db-data:/data

volumes:
  db-data:

secrets:
  db-password:
    file: db/password.txt
""",
    "Dockerfile": """FROM scratch
COPY bin /bin
COPY site /srv
CMD ["/bin/httpd", "-f", "-p", "8080", "-h", "/srv"]
""",
    "site/cgi-bin/page": """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\nRows: '
exec wget -q -O - http://db:8080/rows
""",
    "db/password.txt": "first row",
}
PAGE = "/cgi-bin/page"


def written(directory: Path) -> Path:
    """Write the project and return its directory."""
    for path, text in FILES.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text)
    (directory / "site" / "cgi-bin" / "page").chmod(0o755)
    (directory / "bin").mkdir()
    for name in ("sh", "httpd", "wget"):
        shutil.copy("/bin/busybox", directory / "bin" / name)
    return directory


def actions(foreign: Foreign) -> dict[str, str]:
    return {one["service"]: one["action"] for one in foreign.json("deploy.plan", "--env", "prod")["changes"]}


@contextmanager
def forgotten(repository: str) -> Iterator[None]:
    """Remove the engine's images of a repository after the block."""
    try:
        yield
    finally:
        if ids := docker("image", "ls", "-q", repository).split():
            docker("image", "rm", "--force", *ids)


def test_it_is_adopted_deployed_changed_taken_back_and_taken_down(
    cluster: Cluster, store: Registry, tmp_path: Path
) -> None:
    cluster.load_app("1")
    with forgotten(f"{store.host}/shop/web"), cluster.namespace("baseline") as namespace:
        foreign = Foreign(written(tmp_path / "shop"), namespace)

        def answers(words: str) -> None:
            until(lambda: foreign.ask("web", PAGE) == words, words)

        foreign.adopt({"web": {"image": f"{store.host}/shop/web:1"}})
        assert actions(foreign) == {"web": "create", "db": "create"}
        foreign.inv("deploy.prod", "--yes")
        answers("Rows: first row")
        assert foreign.json("deploy.prod", "--yes")["outcome"] == "unchanged"
        assert foreign.json("kube.report", "--env", "prod")["counts"]["refused"] == 0

        page = foreign.directory / "site" / "cgi-bin" / "page"
        page.write_text(page.read_text().replace("Rows", "Lines"))
        foreign.commit("Other words")
        assert [row["service"] for row in foreign.json("deploy.status", "--env", "prod")["services"]] == ["db", "web"]
        assert actions(foreign) == {"web": "recreate", "db": "unchanged"}  # by its strategy, when it is built
        foreign.inv("deploy.prod", "--yes")
        answers("Lines: first row")
        foreign.inv("deploy.rollback", "--env", "prod", "--yes")
        answers("Rows: first row")

        foreign.inv("deploy.down", "--env", "prod", "--yes")
        assert [namespace.get(kind) for kind in ("deployments", "statefulsets", "services")] == [[], [], []]
        assert len(namespace.get("persistentvolumeclaims")) == 1
        assert {path: (foreign.directory / path).read_text() for path in FILES if path != "site/cgi-bin/page"} == {
            path: text for path, text in FILES.items() if path != "site/cgi-bin/page"
        }
