"""Which Compose project is meant."""

from pathlib import Path

import pytest

from tasks.adopt.find import find
from tasks.model.errors import InputError

STACK = "services: {web: {image: web}}\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ROOT", "PROJECT_DIR", "ENVS_DIR", "REPORTS_DIR", "BACKUPS_DIR", "HOOKS_DIR"):
        monkeypatch.delenv(f"SLIPWAY_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str = STACK) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path.parent


def test_the_project_of_the_directory_or_of_the_nearest_above(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(here / "compose.yaml")
    monkeypatch.chdir(write(here / "src" / "deep" / "main.go"))
    found = find("", ())
    assert (found.where.project_dir, found.settings_file, found.files) == (here, "invoke.yaml", ())
    assert found.section["envs_dir"] == "envs"


def test_a_project_elsewhere_is_named(here: Path) -> None:
    shop = write(here / "shop" / "docker-compose.yml")
    assert find("shop", ()).where.project_dir == shop
    with pytest.raises(InputError, match="no such directory"):
        find("ship", ())


def test_an_adopted_project_has_settings_already(here: Path) -> None:
    write(here / "compose.yaml")
    write(here / "invoke.yaml", "slipway: {project_dir: ., envs_dir: profiles}\n")
    found = find("", ())
    assert found.section == {}
    assert found.where.envs_dir == here / "profiles"


def test_an_invoke_yaml_and_a_directory_envs_of_the_project_are_left_alone(here: Path) -> None:
    write(here / "compose.yaml")
    write(here / "invoke.yaml", "tasks: {auto_dash_names: false}\n")
    write(here / "envs" / "prod.env", "A=1\n")
    found = find("", ())
    assert (found.settings_file, found.where.envs_dir) == ("slipway.yaml", here / "slipway-envs")


def test_of_several_projects_below_one_has_to_be_named(here: Path) -> None:
    write(here / "services" / "shop" / "compose.yaml")
    write(here / "services" / "blog" / "docker-compose.yaml")
    write(here / "node_modules" / "x" / "compose.yaml")
    with pytest.raises(InputError, match=r"but in services/blog, services/shop$") as caught:
        find("", ())
    assert caught.value.hint == "name one: inv adopt --project services/blog"


def test_files_of_other_names_are_found_when_there_is_one_and_named_when_there_are_several(here: Path) -> None:
    write(here / "docker-compose-local.yml")
    assert find("", ()).files == ("docker-compose-local.yml",)
    write(here / "compose.traefik.yaml")
    with pytest.raises(InputError) as caught:
        find("", ())
    assert caught.value.hint.endswith("inv adopt --file compose.traefik.yaml --file docker-compose-local.yml")
    assert find("", ("compose.traefik.yaml",)).files == ("compose.traefik.yaml",)
    with pytest.raises(InputError, match="no such file"):
        find("", ("compose.trefik.yaml",))


def test_a_directory_without_any_is_told_so(here: Path) -> None:
    with pytest.raises(InputError, match="no Compose file here or above, and none below"):
        find("", ())
