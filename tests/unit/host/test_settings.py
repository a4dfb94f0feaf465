"""Which project the tasks work on: by the working directory, by what the environment names, else the sample."""

from pathlib import Path

import pytest
from support import ROOT

from tasks.env import new
from tasks.host.profile.load_profile import load_profile
from tasks.host.profile.settings import process_env, settings
from tasks.model.errors import InputError, RefusedError

SECTION = "slipway: {project_dir: ., envs_dir: profiles}\n"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ROOT", "PROJECT_DIR", "ENVS_DIR", "REPORTS_DIR", "BACKUPS_DIR", "HOOKS_DIR"):
        monkeypatch.delenv(f"SLIPWAY_{name}", raising=False)
    (tmp_path / "deep" / "below").mkdir(parents=True)
    (tmp_path / "compose.yaml").write_text("services: {web: {image: web}}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["invoke.yaml", "slipway.yaml"])
def test_the_nearest_settings_file_counts_from_every_directory_below(
    shop: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop / name).write_text(SECTION)
    monkeypatch.chdir(shop / "deep" / "below")
    where = settings()
    assert (where.root, where.project_dir, where.envs_dir) == (shop, shop, shop / "profiles")
    assert (where.home, where.unknown) == (ROOT, None)
    assert where.shown(shop / "profiles" / "dev.env") == "profiles/dev.env"


def test_an_invoke_yaml_of_other_tasks_is_passed_over(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shop / "invoke.yaml").write_text(SECTION)
    (shop / "deep" / "invoke.yaml").write_text("run: {echo: true}\n")
    monkeypatch.chdir(shop / "deep")
    assert settings().root == shop


def test_slipway_root_wins_over_the_working_directory(
    shop: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("blog")
    (shop / "invoke.yaml").write_text(SECTION)
    (other / "invoke.yaml").write_text("slipway: {project_dir: src}\n")
    monkeypatch.setenv("SLIPWAY_ROOT", str(other))
    assert settings().project_dir == other / "src"
    (other / "invoke.yaml").unlink()
    with pytest.raises(InputError, match=r"has no invoke\.yaml with a section slipway") as caught:
        settings()
    assert caught.value.hint == f"make one: inv adopt --project {other}"


def test_a_fault_of_a_settings_file_names_its_path(shop: Path) -> None:
    (shop / "invoke.yaml").write_text("slipway: {project: .}\n")
    with pytest.raises(InputError, match=f"{shop}/invoke.yaml: slipway: unknown setting 'project'"):
        settings()


def test_the_project_of_another_directory_is_not_worked_on_by_mistake(shop: Path) -> None:
    assert settings().unknown == shop / "compose.yaml"
    for asked in (lambda: load_profile("dev"), lambda: new.new("dev")):
        with pytest.raises(RefusedError, match=r"no settings name it; those of .* are of another") as caught:
            asked()
        assert caught.value.hint.startswith("inv adopt makes them; SLIPWAY_ROOT=")


def test_elsewhere_the_settings_next_to_the_tasks_count(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop / "deep")
    where = settings()
    assert (where.root, where.unknown) == (ROOT, None)
    assert process_env(where) == {}


def test_a_worker_in_the_directory_of_the_tasks_gets_the_directories_of_the_project(shop: Path) -> None:
    (shop / "invoke.yaml").write_text(SECTION)
    assert process_env(settings())["SLIPWAY_ENVS_DIR"] == str(shop / "profiles")
    assert set(process_env(settings())) == {
        f"SLIPWAY_{name}_DIR" for name in ("PROJECT", "ENVS", "REPORTS", "BACKUPS", "HOOKS")
    }
