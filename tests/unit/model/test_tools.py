"""Whether the tools that Slipway needs are installed."""

import pytest

from tasks.model.tools import MISSING, OK, OLD, WARNING, ToolFinding, judge_tool, unfit_tools, version_numbers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("26.1.5", (26, 1, 5)),
        ("v2.26.1", (2, 26, 1)),
        ("2.26.1-4", (2, 26, 1)),
        ("github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3", (0, 13, 1)),
        ("github.com/docker/buildx v0.29.1 a32761aeb3debd39be1eca514af3693af0db334b", (0, 29, 1)),
        ("29.0.0-rc.1", (29, 0, 0)),
        ("25.0", (25, 0)),
        ("28", ()),
        ("", ()),
        ("dev", ()),
    ],
)
def test_the_first_version_of_a_text_is_read(text: str, expected: tuple[int, ...]) -> None:
    assert version_numbers(text) == expected


@pytest.mark.parametrize(
    ("name", "version", "state"),
    [
        ("engine", "25.0.0", OK),
        ("engine", "25.0", OK),
        ("engine", "100.0.1", OK),
        ("engine", "24.0.9", OLD),
        ("engine", "9.9.9", OLD),
        ("compose", "2.24.0", OK),
        ("compose", "v2.23.3", OLD),
        ("compose", "1.29.2", OLD),
        ("compose", "5.0.1", OK),
        ("buildx", "0.12.0", OK),
        ("buildx", "0.9.1", OLD),
        ("buildx", "nonsense", OLD),
        ("buildx", None, MISSING),
        ("engine", None, MISSING),
    ],
)
def test_a_tool_is_judged_by_its_numbers_and_not_by_its_letters(name: str, version: str | None, state: str) -> None:
    assert judge_tool(name, version).state == state


def test_a_tool_that_is_too_old_names_both_versions() -> None:
    assert judge_tool("compose", "1.29.2").fix.startswith(
        "needs 2.24 or newer, found 1.29.2: ./inv setup installs and starts it"
    )


def test_a_missing_tool_names_the_version_that_is_needed() -> None:
    assert judge_tool("buildx", None).fix.startswith("needs 0.12 or newer: ./inv setup installs and starts it")


@pytest.mark.parametrize(("state", "fatal"), [(OK, False), (WARNING, False), (MISSING, True), (OLD, True)])
def test_a_warning_stops_nothing(state: str, fatal: bool) -> None:
    assert ToolFinding("disk", state, "").fatal is fatal


def test_all_missing_and_old_tools_are_named_on_one_line() -> None:
    findings = [
        ToolFinding("engine", OK, "26.1"),
        ToolFinding("compose", OLD, "1.29", "get 2"),
        ToolFinding("buildx", MISSING, "", "get it"),
    ]

    assert unfit_tools(findings) == "compose too old: get 2; buildx missing: get it"
    assert unfit_tools(findings[:1]) == ""
