from dataclasses import replace
from pathlib import Path

from tasks.host.profile.settings import settings
from tasks.host.reports import new_run


def test_reports_of_old_runs_go_and_what_is_no_run_stays(tmp_path: Path) -> None:
    for name in [f"20260101-1200{number:02}-00aa" for number in range(55)] + ["cache", "history", "20260101"]:
        Path(tmp_path, name).mkdir()
        Path(tmp_path, name, "result.json").write_text("{}", encoding="utf-8")
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    Path(outside, "kept").touch()
    Path(tmp_path, "20250101-000000-00aa").symlink_to(outside)
    run = new_run(replace(settings(), reports_dir=tmp_path))
    left = sorted(
        entry.name for entry in tmp_path.iterdir() if entry.name not in ("cache", "history", "20260101", "latest")
    )
    newest = [f"20260101-1200{number:02}-00aa" for number in range(6, 55)] + [run.id]
    assert left == ["20250101-000000-00aa", *newest]  # a link is nothing of ours
    assert Path(outside, "kept").is_file()
    assert Path(tmp_path, "latest").resolve() == run.directory


def test_runs_that_have_only_a_log_do_not_take_the_reports_of_tests_away(tmp_path: Path) -> None:
    where = replace(settings(), reports_dir=tmp_path)
    tested = new_run(where)
    (tested.directory / "unit").mkdir()
    for number in range(60):
        (tmp_path / f"20200101-0000{number:02}-abcd").mkdir()
        (tmp_path / f"20200101-0000{number:02}-abcd" / "deploy.log").touch()
    latest = new_run(where, latest=False)
    (latest.directory / "deploy.log").touch()
    logs = [entry.name for entry in tmp_path.glob("2020*")]
    assert len(logs) == 50
    assert "20200101-000059-abcd" in logs
    assert tested.directory.is_dir()
    assert (tmp_path / "latest").resolve() == tested.directory
    new_run(where)
    assert len(list(tmp_path.glob("2020*"))) == 50
