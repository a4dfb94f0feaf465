"""chaos.report: which journals it reads, where the page goes, and that no secret gets there."""

import json
from pathlib import Path
from typing import Any

import pytest
from journals import done, inv, journal, samples

from tasks.chaos import report
from tasks.chaos.plan.masked import masked
from tasks.model.errors import InputError
from tasks.model.secret import mask

SECRET = 'pa"ss<w>ord\\8'


@pytest.fixture(autouse=True)
def profile(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let each environment have a secret; return those that were asked for."""
    asked: list[str] = []

    class Known:
        def masked(self, text: str) -> str:
            return mask(text, [SECRET])

    def load(name: str) -> Known:
        asked.append(name)
        return Known()

    masks: list[Any] = []
    monkeypatch.setattr("tasks.host.output._masked", masks)
    monkeypatch.setattr(report, "load_profile", load)
    return asked


def written(path: Path, document: Any) -> str:
    path.write_text(json.dumps(document))
    return str(path)


def test_the_page_is_beside_the_journal_unless_another_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], profile: list[str]
) -> None:
    path = written(tmp_path / "journal.json", journal(measured=samples(60, range(12, 14))))
    report.run([path], "", False)
    assert capsys.readouterr().out == f"{tmp_path / 'report.html'}\n" and profile == ["test"]
    assert "The database is cut" in (tmp_path / "report.html").read_text()
    report.run([path], str(tmp_path / "other.html"), True)
    document = json.loads(capsys.readouterr().out)
    assert document["file"] == str(tmp_path / "other.html") and (tmp_path / "other.html").exists()
    [told] = document["experiments"]
    assert told["faults"] == [{"fault": "cut", "service": "database", "begin": 12.0, "end": 22.0}]
    assert [phase["failed"] for phase in told["measured"][0]["phases"]] == [0, 2, 0]


def test_a_directory_is_all_of_its_journals(tmp_path: Path) -> None:
    for name in ("a", "b"):
        written(tmp_path / f"{name}.json", journal(experiment={"title": f"Experiment {name}"}))
    report.run([str(tmp_path)], "", False)
    text = (tmp_path / "report.html").read_text()
    assert "Experiment a" in text and "Experiment b" in text


def test_no_secret_gets_into_the_page(tmp_path: Path) -> None:
    said = {"status": 1, "stdout": "", "stderr": f"cannot log in with {SECRET} at postgres://app:hunter22@db/"}
    told = journal(done(inv("a", name=f"log in with {SECRET}"), 1, 1, output=said), experiment={"title": SECRET})
    report.run([written(tmp_path / "journal.json", told)], "", False)
    text = (tmp_path / "report.html").read_text()
    assert "log in with ***" in text and "postgres://app:***@db/" in text
    assert "pa&quot;ss" not in text and 'pa"ss' not in text and "hunter22" not in text


@pytest.mark.parametrize(
    ("text", "said"), [("[", "is no JSON"), ("[]", "is no journal of an experiment"), ("[" * 100_000, "is no JSON")]
)
def test_what_is_no_journal_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "journal.json").write_text(text)
    with pytest.raises(InputError, match=said):
        report.run([str(tmp_path / "journal.json")], "", False)
    assert not (tmp_path / "report.html").exists()


def test_paths_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no journal"):
        report.run([str(tmp_path / "none.json")], "", False)
    with pytest.raises(InputError, match="has no journal"):
        report.run([str(tmp_path)], "", False)
    path = written(tmp_path / "journal.json", journal())
    with pytest.raises(InputError, match="no file can be written there"):
        report.run([path], str(tmp_path / "nowhere" / "a.html"), False)


def test_masking_leaves_a_journal_a_journal() -> None:
    def known(text: str) -> str:
        return mask(text, ["200", "true", "12345678"])

    seen = {"status": 200, "headers": {"Set-Cookie": "id=7", "X-Api-Key": "k", "Age": "1"}, "body": {"pin": 12345678}}
    headers = {"Set-Cookie": "***", "X-Api-Key": "***", "Age": "1"}
    assert masked({"deviated": True, "output": seen, "said": "200 true"}, known) == {
        "deviated": True,
        "output": {"status": 200, "headers": headers, "body": {"pin": "***"}},
        "said": "*** ***",
    }
    configuration = {"token": {"type": "env", "key": "TOKEN"}, "password": "x"}
    assert masked(configuration, str) == {"token": {"type": "env", "key": "TOKEN"}, "password": "***"}
