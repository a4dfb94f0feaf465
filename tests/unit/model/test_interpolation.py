"""The variables in the text of Compose files."""

import pytest

from tasks.model.profile.interpolation import Variable, scan, substitute


def required(text: str) -> dict[str, bool]:
    return {name: variable.required for name, variable in scan([("c.yml", text)]).items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image: ${A}", {"A": True}),
        ("image: $A-x", {"A": True}),
        ("image: ${A:-d}", {"A": False}),
        ("image: ${A-d}", {"A": False}),
        ("image: ${A:+x}", {"A": False}),
        ("image: ${A+x}", {"A": False}),
        ("image: ${A:?why}", {"A": True}),
        ("image: ${A?why}", {"A": True}),
        ("image: ${A}:${B}", {"A": True, "B": True}),
        ("command: echo $$A $${B} $$$C", {"C": True}),
        ("# ${A}", {}),
        ("image: x # ${A}", {}),
        ("image: x#${A}", {"A": True}),
        ('image: "x # ${A}"', {"A": True}),
        ("image: 'it''s # ${A}' # ${B}", {"A": True}),
        ("image: it's # ${A}", {}),
        ('a: "say \\" # ${A}"', {"A": True}),
        ('a: "open\n  # ${A}"\nb: ${B} # ${C}', {"A": True, "B": True}),
        ("a: say 'x\nb: x # ${A}", {}),
        ("a: [x, 'y # ${A}', \"z # ${B}\"] # ${C}", {"A": True, "B": True}),
        ("price: $5 and $", {}),
        ("environment: [A, 'B', C=1, \"D\"]", {"A": False, "B": False, "D": False}),
        ("build: {context: ., args: [A]}", {"A": False}),
        ("configs: {c: {environment: A}}", {"A": False}),
    ],
)
def test_an_occurrence_is_required_unless_it_has_a_default_or_an_alternative(
    text: str, expected: dict[str, bool]
) -> None:
    assert required(text) == expected


def test_a_hash_in_a_block_scalar_is_no_comment() -> None:
    text = (
        "command: |\n  # ${A}\n  run\nother: x # ${B}\n"
        "list:\n  - >-\n    # ${C}\n  - key: |\n      # ${D}\n    next: 1 # ${E}\n"
    )
    assert sorted(required(text)) == ["A", "C", "D"]


def test_a_variable_knows_the_line_that_requires_it() -> None:
    variables = scan([("a.yml", "x: ${A:-1}\ny: ${A}\n"), ("b.yml", "x: ${A}\ny: ${B-}\n")])
    assert variables == {"A": Variable("A", True, "a.yml:2"), "B": Variable("B", False, "b.yml:2")}


def test_an_empty_value_is_refused_where_the_compose_file_refuses_it() -> None:
    variables = scan([("c.yml", "a: ${A?}\nb: ${B:?}\nc: ${B}\nd: ${C}\ne: ${C:?}")])
    assert {name: variable.nonempty for name, variable in variables.items()} == {"A": False, "B": True, "C": True}


def test_a_nested_default_is_needed_only_without_the_variable_around_it() -> None:
    variables = scan([("c.yml", "a: ${A:-${B:-${C}}}\nb: ${D:-x${E}y}z${F}\nc: ${G:+${H}}\nd: ${I:?set ${J}}")])
    assert {name for name, variable in variables.items() if variable.required} == {"C", "E", "F", "I"}
    assert variables["C"].unless == {"A", "B"}
    assert variables["E"].unless == {"D"}
    assert not variables["F"].unless


def test_an_occurrence_outside_a_default_is_the_stricter_one() -> None:
    variables = scan([("c.yml", "a: ${A:-${B}}\nb: ${B}")])
    assert variables["B"] == Variable("B", True, "c.yml:2")


def test_variables_that_are_passed_through_are_known_but_not_required() -> None:
    text = (
        "services:\n  a:\n    environment:\n      - A\n      - B=1\n      - 'C'\n    image: x\n"
        "  b:\n    environment:\n      D:\n      E: 1\n    build:\n      args:\n      - F\n"
        "secrets:\n  s:\n    environment: G\n"
    )
    assert required(text) == dict.fromkeys("ACDFG", False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A-x and ${A}", "a-x and a"),
        ("$$A costs $5", "$A costs $5"),
        ("${NONE}|${NONE:-d}|${NONE-d}", "|d|d"),
        ("${EMPTY:-d}|${EMPTY-d}", "d|"),
        ("${A:+y}|${A+y}|${NONE:+y}|${EMPTY+y}", "y|y||y"),
        ("${NONE:-${A}z}-${NONE:-${NONE:-q}}", "az-q"),
        ("${A:?why}", "a"),
    ],
)
def test_a_text_is_completed_as_compose_does(text: str, expected: str) -> None:
    assert substitute(text, {"A": "a", "EMPTY": ""}.get) == expected
