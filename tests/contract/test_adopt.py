"""Adoption of the kinds of Compose projects that people have, with Compose itself: it takes no edit by hand."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from invoke import Config, Context

from tasks.adopt.adopt import run
from tasks.env import profiles
from tasks.host.profile.load_profile import load_profile
from tasks.host.profile.settings import settings
from tasks.host.project import Project
from tasks.model.errors import InputError, RefusedError

WEB = "services: {web: {image: 'shop/web:1'}}\n"
# By kind: the files, and what of the model of dev has to come out.
KINDS: Mapping[str, Mapping[str, str]] = {
    "anchors": {
        "docker-compose.yml": """
x-all: &all {restart: always, environment: {MODE: "${MODE}", ZONE: "${ZONE:-here}"}}
services:
  web: {<<: *all, image: shop/web}
  job: {<<: *all, image: shop/job}
""",
        ".env": "MODE=fast and loose # not too loose\n",
    },
    "extends": {
        "compose.yaml": "services: {web: {extends: {file: common.yaml, service: app}, ports: ['80:80']}}\n",
        "common.yaml": "services: {app: {image: 'shop/web:${TAG}', env_file: app.env}}\n",
        "app.env": "GREETING=${NAME}\n",
        ".env": "TAG=7\nNAME=Ada\n",
    },
    "include": {
        "compose.yaml": "include: [data/compose.yaml]\nservices: {web: {image: web, depends_on: [db]}}\n",
        "data/compose.yaml": "services: {db: {image: 'postgres:${VERSION:?say which}'}}\n",
        ".env": "VERSION=17\n",
    },
    "profiles": {
        "compose.yaml": """
services:
  web: {image: web}
  mail: {image: mail, profiles: [mail], environment: {MAIL_TOKEN: "${MAIL_TOKEN}"}}
""",
        ".env": "COMPOSE_PROFILES=mail\nMAIL_TOKEN=hush-hush\n",
    },
    "reset": {
        "compose.yaml": "services: {web: {image: web, ports: ['80:80']}, tool: {image: tool}}\n",
        "compose.override.yaml": "services: {web: {ports: !override ['8080:80']}, tool: !reset null}\n",
    },
    "several files": {
        "stack.yaml": WEB,
        "more.yaml": "services: {web: {environment: {A: '${A-}'}}}\n",
        ".env": "COMPOSE_FILE=stack.yaml:more.yaml\nCOMPOSE_PROJECT_NAME=corner-shop\nA=1\n",
    },
    "environments": {
        "compose.yaml": "services: {web: {image: 'web:${TAG}'}, db: {image: postgres}}\n",
        "compose.prod.yaml": "services: {web: {restart: always}}\n",
        "docker-compose.staging.yml": "services: {web: {image: 'web:next'}, db: {image: 'postgres:17'}}\n",
        ".env": "TAG=dev\n",
        ".env.production": "TAG=1.2\n",
    },
    "example": {
        "compose.yaml": """
services:
  web: {image: "web:${TAG}", env_file: [.env, web.env]}
  cli: {image: cli, env_file: .env}
""",
        ".env.example": "TAG=1\n",
        "web.env.sample": "WEB_TOKEN=change me\n",
    },
    "hard values": {
        "compose.yaml": "services: {web: {image: web, environment: [PLAIN, QUOTED, DOLLAR, WINDOWS, DB_PASSWORD]}}\n",
        ".env": "PLAIN=a b\r\nQUOTED=\"it's\"\r\nDOLLAR='a$b'\r\nWINDOWS=C:\\dir\r\nDB_PASSWORD=p4$$ss;word\r\n",
    },
    "a name that Compose changes": {"compose.yaml": "name: ${NAME:-my_shop}\n" + WEB},
    "own settings": {"compose.yaml": WEB, "invoke.yaml": "run: {pty: true}\n", "envs/prod.env": "NOT=ours\n"},
    "a build in the directory": {
        "compose.yaml": "services: {web: {build: ., ports: ['80:80']}}\n",
        "Dockerfile": "FROM golang:1 AS build\nCOPY . .\nFROM scratch\nCOPY --from=build /x /x\n",
    },
}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("SLIPWAY_", "COMPOSE_"))]:
        monkeypatch.delenv(name)
    # No repository is above it, so this is a project without git, too.
    directory = tmp_path / "My Shop"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


def fill(directory: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")


def context(dry: bool = False) -> Context:
    return Context(Config(overrides={"run": {"dry": dry}}))


def digests(directory: Path) -> dict[str, str]:
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("kind", KINDS)
def test_a_project_of_every_kind_is_adopted_once_and_valid_without_an_edit(
    kind: str, shop: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fill(shop, KINDS[kind])
    before = digests(shop)
    run(context(), "", (), yes=True, json=False)
    adopted = digests(shop)
    assert {name: adopted[name] for name in before} == before
    run(context(), "", (), yes=False, json=False)
    assert digests(shop) == adopted
    capfd.readouterr()
    profiles.check(("dev",), as_json=False)
    dev = Project(context(), "dev")
    assert dev.stack.services
    today = json.loads(capture("docker", "compose", "config", "--format", "json"))
    assert set(dev.stack.services) == set(today["services"])
    assert {name: raw.get("environment") for name, raw in dev.model["services"].items()} == {
        name: raw.get("environment") for name, raw in today["services"].items()
    }


def capture(*words: str) -> str:
    import subprocess

    return subprocess.run(words, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout


def test_secrets_are_written_for_their_owner_only_and_never_printed(
    shop: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fill(shop, KINDS["hard values"])
    run(context(), "", (), yes=True, json=True)
    said = capfd.readouterr()
    assert "p4$" not in said.out + said.err
    local = shop / "envs" / "dev.local.env"
    assert local.stat().st_mode & 0o777 == 0o600
    assert "DB_PASSWORD" in local.read_text()
    assert (shop / "envs" / ".gitignore").read_text() == "*.local.env\n"
    document = json.loads(said.out)
    assert document["schema"] == "slipway/adopt/v1"
    assert {"path": str(local), "mode": "0600", "copy_of": ""} in document["files"]
    # Production has to have its own, and is told where to write it.
    with pytest.raises(InputError, match="DB_PASSWORD: the Compose file needs this variable") as caught:
        fill(shop, {"compose.yaml": "services: {web: {image: web, environment: {P: '${DB_PASSWORD}'}}}\n"})
        load_profile("prod")
    assert caught.value.hint == "take them over: inv env.adopt prod"


def test_without_a_terminal_it_refuses_with_the_command_to_give(shop: Path) -> None:
    fill(shop, {"compose.yaml": WEB})
    with pytest.raises(RefusedError, match="not confirmed") as caught:
        run(context(), str(shop), (), yes=False, json=False)
    assert (caught.value.exit_code, caught.value.hint) == (3, f"to write them: inv adopt --project '{shop}' --yes")
    run(context(dry=True), "", (), yes=True, json=False)
    assert list(digests(shop)) == ["compose.yaml"]


def test_each_environment_has_the_files_and_values_that_are_made_for_it(shop: Path) -> None:
    fill(shop, KINDS["environments"])
    run(context(), "", (), yes=True, json=False)
    files = {name: load_profile(name).compose_files() for name in ("dev", "staging", "prod")}
    assert files == {
        "dev": ("compose.yaml", "compose.slipway.yaml"),
        "staging": ("docker-compose.staging.yml", "compose.slipway.yaml"),
        "prod": ("compose.yaml", "compose.prod.yaml", "compose.slipway.yaml"),
    }
    assert load_profile("prod").text("TAG") == "1.2"
    assert load_profile("staging").text("TAG") == "dev"


def test_a_missing_env_file_is_written_from_its_example(shop: Path) -> None:
    fill(shop, KINDS["example"])
    run(context(), "", (), yes=True, json=False)
    assert (shop / ".env").read_text() == "TAG=1\n"
    assert (shop / "web.env").stat().st_mode & 0o777 == 0o600
    assert load_profile("dev").text("TAG") == "1"


def test_a_missing_env_file_without_an_example_is_what_dev_lacks(shop: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fill(shop, {"compose.yaml": "services: {web: {image: web, env_file: web.env}}\n"})
    run(context(), "", (), yes=True, json=True)
    dev = json.loads(capfd.readouterr().out)["steps"][0]
    assert dev["missing"][0]["what"] == f"env_file {shop}/web.env does not exist"
    with pytest.raises(InputError, match=r"web\.env does not exist"):
        profiles.check(("dev",), as_json=False)


def test_a_file_that_compose_does_not_accept_leaves_nothing_behind(shop: Path) -> None:
    fill(shop, {"compose.yaml": "services: {web: {imagine: web}}\n"})
    with pytest.raises(InputError, match=r"Compose does not accept compose\.yaml: .*imagine"):
        run(context(), "", (), yes=True, json=False)
    assert list(digests(shop)) == ["compose.yaml"]


def test_a_known_database_can_be_backed_up_and_another_one_has_its_role(
    shop: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fill(shop, {"compose.yaml": "services: {db: {image: 'postgres:17', environment: {POSTGRES_DB: shop}}}\n"})
    run(context(), "", (), yes=True, json=True)
    steps = {step["name"]: step["works"] for step in json.loads(capfd.readouterr().out)["steps"]}
    assert steps["backups"]
    assert Project(context(), "dev").stack.role("database").slipway.backup
    # Its name is unknown, so that no command of a preset can be made.
    (shop / "compose.slipway.yaml").unlink()
    (shop / "invoke.yaml").unlink()
    fill(shop, {"compose.yaml": "services: {db: {image: 'mysql:8'}}\n"})
    run(context(), "", (), yes=True, json=False)
    assert "      role: database #" in (shop / "compose.slipway.yaml").read_text()


def test_secrets_and_ports_that_are_variables_already_are_told_from_those_written_out(
    shop: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    services = """
services:
  one: {image: one, ports: ["${ONE_PORT:-8001}:80"], environment: {API_KEY: "${KEY:-none-yet}"}}
  two: {image: two, ports: ["8002:80"], environment: [API_KEY=fixed-one, MODE=x]}
"""
    fill(shop, {"compose.yaml": services})
    run(context(), "", (), yes=True, json=True)
    said = capfd.readouterr().out
    steps = {step["name"]: step["missing"] for step in json.loads(said)["steps"]}
    assert [gap["where"] for gap in steps["secrets"]] == ["two"]
    assert [gap["line"] for gap in steps["environments on one engine"]] == [
        "ONE_PORT=… in staging.env",
        'ports: ["${TWO_PORT:-8002}:80"]',
    ]
    assert "fixed-one" not in said


def test_the_profiles_do_not_get_into_a_build_context(shop: Path) -> None:
    fill(shop, KINDS["a build in the directory"])
    run(context(), "", (), yes=True, json=False)
    assert (shop / ".dockerignore").read_text() == "**/*.local.env\n.slipway\n"
    assert settings().reports_dir == shop / ".slipway" / "reports"
    assert (shop / ".slipway" / ".gitignore").read_text() == "*\n"


def test_what_has_to_exist_before_a_deploy_is_named(shop: Path, capfd: pytest.CaptureFixture[str]) -> None:
    compose = "services: {web: {image: a, volumes: [data:/d], networks: [front]}}\n"
    compose += (
        "volumes: {data: {external: true, name: shop-of-nobody}}\nnetworks: {front: {name: host, external: true}}\n"
    )
    fill(shop, {"compose.yaml": compose})
    run(context(dry=True), "", (), yes=True, json=True)

    step = next(step for step in json.loads(capfd.readouterr().out)["steps"] if step["name"] == "deploy dev")
    assert step["missing"] == [
        {"where": "volume shop-of-nobody", "what": "is external and does not exist",
         "line": "docker volume create shop-of-nobody"}
    ]  # fmt: skip
