"""Passwords as most projects have them: deployed and rolled back, and in no record on the engine."""

import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Callable

import pytest

from .support import DOCKER, Checkout, docker

COMPOSE = """
services:
  web:
    image: IMAGE
    init: true
    entrypoint: ["sh", "-c", "test -n \\"$$TEXT\\" && exec sleep infinity"]
    stop_grace_period: 1s
    env_file: [db.env]
    environment:
      POSTGRES_PASSWORD: ${DB_PASSWORD}
      DATABASE_URL: postgres://me:${DB_PASSWORD}@db/x
      LITERAL_TOKEN: a-literal$$secret
      POSTGRES_USER: postgres
      TEXT: ${TEXT}
"""
SECRETS = ("a-literal$secret", "from$file9x")


def environment(checkout: Checkout) -> dict[str, str]:
    """Return the environment of the only container of a project."""
    container = json.loads(docker("inspect", f"{checkout.projects[0]}-web-1"))[0]
    return dict(word.split("=", 1) for word in container["Config"]["Env"])


def records(checkout: Checkout) -> bytes:
    """Return the bytes of all records of a project: files, layers and settings of their images, unpacked."""
    names = docker("image", "ls", "-q", "--filter", f"label=slipway.release={checkout.projects[0]}").split()
    assert names
    saved = subprocess.run([DOCKER, "image", "save", *names], capture_output=True, check=True, timeout=300).stdout
    return unpacked(saved)


def unpacked(data: bytes) -> bytes:
    """Return data, followed by the contents of its members if it is an archive."""
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            return data + b"".join(unpacked(file.read()) for member in tar if (file := tar.extractfile(member)))
    except tarfile.TarError:
        return data


def secrets_in(data: bytes, *secrets: str) -> list[str]:
    """Return the secrets that data contains, however they are quoted."""
    spelled = {
        secret: (secret, secret.replace("$", "$$"), json.dumps(secret)[1:-1], secret.replace("'", "''"))
        for secret in secrets
    }
    return [secret for secret, words in spelled.items() if any(word.encode() in data for word in words)]


def profile(checkout: Checkout, password: str, text: str) -> None:
    """Write the profile of the environment."""
    (checkout.envs_dir / "dev.env").write_text(f"HEALTH_TIMEOUT=20s\nDB_PASSWORD={password}\nTEXT={text}\n")


@pytest.fixture
def shop(small: Callable[..., Checkout]) -> Checkout:
    """A project with a password of each kind."""
    made = small(COMPOSE)
    (made.project_dir / "db.env").write_text("PGPASSWORD='from$file9x'\nURL_COPY=http://me:${DB_PASSWORD}@db/\n")
    return made


@pytest.mark.parametrize("password", ["pa$word9x", "#it's9x", "postgres"])
def test_a_password_is_deployed_and_rolled_back_and_no_record_holds_it(shop: Checkout, password: str) -> None:
    secrets = SECRETS if password == "postgres" else (*SECRETS, password)
    profile(shop, f'"{password}"' if "'" in password else f"'{password}'", "one")
    shop.inv("deploy.dev")
    before = environment(shop)
    assert before["POSTGRES_PASSWORD"] == password
    assert before["DATABASE_URL"] == f"postgres://me:{password}@db/x"
    assert (before["LITERAL_TOKEN"], before["PGPASSWORD"]) == SECRETS
    profile(shop, f'"{password}"' if "'" in password else f"'{password}'", "two")
    shop.inv("deploy.dev")
    plan = shop.inv("--dry", "deploy.rollback", "--to", "1")
    assert secrets_in(plan.stdout.encode() + plan.stderr.encode(), *secrets) == []
    # A password that is a word is masked wherever the word stands.
    assert password == "postgres" or "postgres://me:${DB_PASSWORD}@db/x" in plan.stdout
    assert "is not what it was" not in shop.inv("deploy.rollback", "--to", "1").stderr
    assert environment(shop) == before
    data = records(shop)
    assert secrets_in(data, *secrets) == []
    assert b"${slipway:DB_PASSWORD}" in data
    assert b"${slipway:web.environment.PGPASSWORD}" in data
    assert b'"POSTGRES_USER": "postgres"' in data


def test_a_roll_back_says_which_secret_is_not_what_it_was_and_which_is_gone(shop: Checkout) -> None:
    profile(shop, "first-9x", "one")
    shop.inv("deploy.dev")
    profile(shop, "second-9x", "two")
    (shop.project_dir / "db.env").write_text("PGPASSWORD=other-9x\n")
    shop.inv("deploy.dev")
    said = shop.inv("deploy.rollback", "--to", "1").stderr
    assert "DB_PASSWORD is not what it was in release 1" in said
    assert "web.environment.PGPASSWORD is not what it was in release 1" in said
    assert secrets_in(said.encode(), "first-9x", "second-9x", "other-9x") == []
    now = environment(shop)
    assert (now["POSTGRES_PASSWORD"], now["PGPASSWORD"], now["TEXT"]) == ("second-9x", "other-9x", "one")
    assert shop.json("deploy.plan")["changes"][0]["action"] != "unchanged"
    (shop.project_dir / "db.env").write_text("OTHER=x\n")
    refused = shop.inv("deploy.rollback", "--to", "2", code=3).stderr
    assert "secrets that have no value now: web.environment.PGPASSWORD" in refused
    assert environment(shop) == now


def test_a_deploy_that_fails_goes_back_with_the_password_that_was(shop: Checkout) -> None:
    profile(shop, "first-9x", "one")
    shop.inv("deploy.dev")
    before = environment(shop)
    profile(shop, "second-9x", "''")  # the container ends at once
    (shop.project_dir / "db.env").write_text("OTHER=x\n")
    shop.inv("deploy.dev", code=4)
    assert environment(shop) == before
    assert secrets_in(records(shop), "first-9x", "second-9x", *SECRETS) == []


def test_a_dry_run_makes_no_key(shop: Checkout) -> None:
    profile(shop, "first-9x", "one")
    shop.inv("--dry", "deploy.dev")
    shop.inv("deploy.plan")
    assert docker("image", "ls", "-q", f"{shop.projects[0]}-key") == ""
    shop.inv("deploy.dev")
    key = docker("image", "ls", "-q", f"{shop.projects[0]}-key")
    assert key
    profile(shop, "first-9x", "two")
    shop.inv("deploy.dev")
    assert docker("image", "ls", "-q", f"{shop.projects[0]}-key") == key
