"""Encrypted files among the layers of a profile, opened by a program that stands for sops.

It takes the words and the variables of sops, and fails as that does; tests/platforms/test_sops.py asks the real one.
"""

import json
import os
from pathlib import Path

import pytest

from tasks.env import profiles
from tasks.host.profile.load_profile import load_profile
from tasks.host.profile.settings import encrypted_paths, environments, settings
from tasks.kube.gather import settings as kube_settings
from tasks.model.errors import InputError, RefusedError
from tasks.model.secret import Secret

_SOPS = """#!/bin/sh
[ "$*" = "--decrypt --input-type dotenv --output-type dotenv /dev/stdin" ] || exit 100
echo run >> "$CALLS"
[ "$(cat "$SOPS_AGE_KEY_FILE")" = right ] || { echo "identity did not match any of the recipients" >&2; exit 128; }
sed -n -e '/^sops_/d' -e 's/=ENC\\[\\(.*\\)\\]$/=\\1/' -e p /dev/stdin
"""
END = "sops_age__list_0__map_recipient=age1abcdefghijkl\nsops_mac=ENC[x]\nsops_version=3.13.3\n"


class Workspace:
    """A project outside this checkout, a key, and what stands for sops."""

    def __init__(self, root: Path) -> None:
        self.root, self.calls, self.key = root, root / "calls", root / "age.txt"
        (root / "project").mkdir()
        (root / "envs").mkdir()
        (root / "bin").mkdir()
        (root / "project" / "compose.yaml").write_text("services: {web: {image: 'web:${WHO:-1}${DB_PASSWORD:-}'}}\n")
        self.key.write_text("right\n")
        program = root / "bin" / "sops"
        program.write_text(_SOPS)
        program.chmod(0o755)
        self.env("base", "HEALTH_TIMEOUT=10s\n")
        self.env("prod", "WHO=prod\n")

    def env(self, name: str, text: str) -> Path:
        path = self.root / "envs" / f"{name}.env"
        path.write_text(text)
        return path

    def runs(self) -> int:
        return len(self.calls.read_text().splitlines()) if self.calls.exists() else 0


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    for key in [key for key in os.environ if key.startswith(("SLIPWAY_", "COMPOSE_", "DOCKER_", "SOPS_"))]:
        monkeypatch.delenv(key)
    made = Workspace(tmp_path)
    monkeypatch.setenv("SLIPWAY_PROJECT_DIR", str(tmp_path / "project"))
    monkeypatch.setenv("SLIPWAY_ENVS_DIR", str(tmp_path / "envs"))
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(made.key))
    monkeypatch.setenv("CALLS", str(made.calls))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return made


def test_an_encrypted_file_comes_after_the_file_of_its_name_and_before_the_local_one(here: Workspace) -> None:
    order = ("base", "base.sops", "base.local", "prod", "prod.sops", "prod.local")
    for name in order:
        here.env(name, f"WHO=ENC[{name}]\n{END}" if name.endswith("sops") else f"WHO={name}\n")
        found = load_profile("prod")
        expected = name if name not in order[:3] else "prod"  # the file of the fixture is stronger
        assert found.text("WHO") == expected
    here.env("prod", "# nothing\n")
    here.env("prod.sops", f"DB_PASSWORD=ENC[x]\n{END}")
    (here.root / "envs" / "prod.local.env").unlink()
    assert load_profile("prod").text("WHO") == "base.local"


def test_its_encrypted_values_are_secrets_with_the_place_that_they_have_in_the_file(here: Workspace) -> None:
    here.env("prod.sops", f"# of the database\nDB_PASSWORD=ENC['a b$c']\nWHO=me\n{END}")
    found = load_profile("prod")
    assert found.values["DB_PASSWORD"].value == Secret("a b$c")
    assert found.values["DB_PASSWORD"].origin.endswith("envs/prod.sops.env:2")
    assert (found.values["WHO"].value, found.encrypted) == ("me", {"DB_PASSWORD"})
    assert kube_settings(found).secret_keys == ("DB_PASSWORD",), "an object for a cluster refers to it, too"


def test_it_is_no_environment_of_its_own(here: Workspace) -> None:
    here.env("prod.sops", END)
    assert environments() == ("prod",)
    assert [path.name for path in encrypted_paths("prod", settings())] == ["prod.sops.env"]
    assert encrypted_paths("prod-rehearsal", settings()) == ()


def test_where_nothing_is_encrypted_sops_is_not_asked(here: Workspace) -> None:
    load_profile("prod")
    assert here.runs() == 0


def test_other_environments_are_looked_at_without_their_secrets(here: Workspace) -> None:
    here.env("dev", "# nothing\n")
    here.env("prod.sops", f"DB_PASSWORD=ENC[x]\n{END}")
    here.key.write_text("wrong\n")
    here.env("base", "HEALTH_TIMEOUT=10s\nONLY_OF_PROD=1\n")
    with pytest.raises(InputError, match="ONLY_OF_PROD"):
        load_profile("dev")  # a thorough look: who uses it?
    assert here.runs() == 0


def test_a_key_file_of_the_profile_is_relative_to_the_settings_file(
    here: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOPS_AGE_KEY_FILE")
    here.env("prod.sops", f"DB_PASSWORD=ENC[x]\n{END}")
    (here.root / "invoke.yaml").write_text("slipway: {project_dir: project}\n")
    monkeypatch.setenv("SLIPWAY_ROOT", str(here.root))
    here.env("prod.local", "SOPS_AGE_KEY_FILE=age.txt\n")
    assert load_profile("prod").text("DB_PASSWORD") == "x"
    here.env("prod.local", "SOPS_AGE_KEY_FILE=keys/age.txt\n")
    with pytest.raises(RefusedError, match=r"keys/age\.txt: no such file \(envs/prod\.local\.env:1\)"):
        load_profile("prod")


def test_without_sops_a_line_says_what_to_install(here: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    here.env("prod.sops", f"DB_PASSWORD=ENC[x]\n{END}")
    monkeypatch.setenv("PATH", str(here.root / "nowhere"))
    with pytest.raises(RefusedError, match=r"prod\.sops\.env is encrypted, and sops is not installed"):
        load_profile("prod")


def test_a_file_that_is_not_encrypted_is_refused(here: Workspace) -> None:
    here.env("prod.sops", "DB_PASSWORD=hunter2\n")
    with pytest.raises(RefusedError, match=r"prod\.sops\.env is not encrypted") as caught:
        load_profile("prod")
    assert "hunter2" not in str(caught.value) and "change its secrets" in caught.value.hint
    assert here.runs() == 0


def test_with_another_key_the_check_of_profiles_goes_on_with_the_next_one(
    here: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    here.env("dev", "COMPOSE_PROJECT_NAME=dev\n")
    here.env("prod.sops", f"DB_PASSWORD=ENC[x]\n{END}")
    here.key.write_text("wrong\n")
    with pytest.raises(InputError, match="is encrypted for the age key age1abcdefgh…, and that of SOPS_AGE_KEY_FILE"):
        profiles.check((), as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert {one["name"]: one["valid"] for one in document["environments"]} == {"dev": True, "prod": False}


def test_what_is_shown_of_a_profile_has_no_secret(here: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    here.env("prod.sops", f"WHO=ENC[hunter2]\n{END}")
    profiles.show("prod", as_json=True)
    said = capsys.readouterr()
    assert "hunter2" not in said.out + said.err
    values = {one["key"]: one for one in json.loads(said.out)["values"]}
    assert (values["WHO"]["value"], values["WHO"]["secret"]) == ("***", True)


def test_nothing_is_written(here: Workspace) -> None:
    here.env("prod.sops", f"DB_PASSWORD=ENC[hunter2-hunter2]\n{END}")
    load_profile("prod")
    with_it = [path for path in here.root.rglob("*") if path.is_file() and b"=hunter2-hunter2" in path.read_bytes()]
    assert with_it == []
