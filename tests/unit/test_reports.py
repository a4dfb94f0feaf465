from dataclasses import replace
from pathlib import Path

from tasks.host.files import settings
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
    left = sorted(one.name for one in tmp_path.iterdir() if one.name not in ("cache", "history", "20260101", "latest"))
    newest = [f"20260101-1200{number:02}-00aa" for number in range(6, 55)] + [run.id]
    assert left == ["20250101-000000-00aa", *newest]  # a link is nothing of ours
    assert Path(outside, "kept").is_file()
    assert Path(tmp_path, "latest").resolve() == run.directory
