"""The page of chaos.report: it loads nothing, and no name in a journal gets to be more than text."""

from html.parser import HTMLParser
from typing import Any

from journals import done, inv, journal, samples

from tasks.chaos.plan.report_page import page
from tasks.chaos.plan.timeline import timeline

NASTY = "<script>alert('&\"')</script>\u202e\x1b[2J\ud800</title></style>"


class Reader(HTMLParser):
    """Reads a page: its texts, what it loads, its elements, and whether each is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.loads: list[str] = []
        self.names: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.loads += [name for name, _ in attributes if name in ("src", "href", "srcset") or name.startswith("on")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        self.texts.append(text)


def read(*journals: dict[str, Any]) -> Reader:
    text = page([timeline(one, "j") for one in journals])
    text.encode()  # can be written
    return Reader(text)


def test_it_shows_faults_latencies_errors_and_the_recovery() -> None:
    seen = read(journal(measured=samples(60, range(12, 25))))
    texts = " | ".join(seen.texts)
    assert "served again from 25.0 s: 3.0 s after the fault was over." in texts
    assert "cut database: in effect" in texts and "as expected" in texts
    assert seen.names.count("circle") == 47, "a dot for each answer that was as tolerated"
    assert seen.names.count("rect") == 2, "while the fault was made, and while it was in effect"
    assert texts.count("s: 503, 5.00 s") == 13, "each error has its time"
    assert "20 ms" in seen.texts and "2.50 s" not in seen.texts, "the axis is that of the answers, not of the errors"


def test_names_of_a_hostile_journal_are_text() -> None:
    probe = {"type": "probe", "name": NASTY, "provider": {"type": "http", "url": NASTY}}
    fault = done(inv("chaos.inject", NASTY, "--service", NASTY, name=NASTY), 1, 1)
    hostile = journal(
        fault,
        done(probe, 3, 1, output={"status": NASTY, "body": NASTY, "headers": {NASTY: NASTY}}),
        done(probe, 5, 1, status="failed", exception=[NASTY]),
        measured=samples(60, range(5)),
        experiment={"title": NASTY, "description": NASTY},
        status=NASTY,
    )
    hostile["extensions"][0]["measured"][0]["probe"] = NASTY
    seen = read(hostile, hostile)
    assert not {"script", "img", "iframe", "link", "object"} & set(seen.names) and seen.loads == []
    told = "".join(seen.texts)
    assert "<script>alert('&\"')</script>" in told
    assert not {"\u202e", "\x1b", "\ud800"} & set(told)


def test_several_experiments_have_a_table_of_all() -> None:
    good, bad = journal(measured=samples(60, range(0))), journal(deviated=True)
    texts = read(good, bad).texts
    assert {"as expected", "deviated"} <= set(texts) and "All experiments" not in read(good).texts


def test_a_journal_without_latencies_says_so() -> None:
    assert "The journal has no latencies: chaos.run measures the requests of the hypothesis." in read(journal()).texts


def test_it_says_what_became_of_the_alert() -> None:
    alert = {"name": NASTY, "fired_after": None, "resolved_after": None, "not_asked": "not monitored"}
    seen = read(journal(extensions=[{"name": "slipway", "alert": alert}]))
    assert any(text.startswith("Alert: ") and text.endswith(": not asked: not monitored.") for text in seen.texts)
    assert not any(text.startswith("Alert: ") for text in read(journal()).texts)
