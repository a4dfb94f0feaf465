"""Data as YAML: what is read is what was written, by every reader."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.kube.manifests.plan.yaml_text import Expression, Given, document

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(DATA)
def test_what_is_read_is_what_was_written(data: Any) -> None:
    assert yaml.safe_load(document(data)) == data


@pytest.mark.parametrize(
    "word", ["on", "No", "~", "1e3", "0x1f", "1_000", "22:30", "1.10", "", "null", "2026-11-30", "=", "Y"]
)
def test_a_text_that_a_reader_could_take_for_something_else_is_quoted(word: str) -> None:
    assert document({"a": word}) == f'a: "{word}"\n'


@pytest.mark.parametrize("word", ["web", "registry.example.com/web:1.2", "apps/v1", "sha256:ab", "/etc/x.conf", "a=b"])
def test_a_plain_word_is_not_quoted(word: str) -> None:
    assert document({"a": word}) == f"a: {word}\n"


def test_lines_stand_as_lines() -> None:
    assert document({"f": "a\n  b\n"}) == "f: |\n  a\n    b\n"
    assert document({"f": "a\nb"}) == "f: |-\n  a\n  b\n"
    assert document({"f": "a\nb\n\n"}) == 'f: "a\\nb\\n\\n"\n'
    assert document({"f": " a\nb\n"}) == "f: |2\n   a\n  b\n"


def test_an_item_begins_in_the_line_of_its_dash() -> None:
    assert document({"a": [{"b": 1, "c": [2]}, "x"]}) == "a:\n- b: 1\n  c:\n  - 2\n- x\n"


def test_an_expression_is_written_as_it_is_and_literal_text_as_the_engine_needs_it() -> None:
    data = {"a": Expression("{{ .x }}"), "b": "{{ .y }}", "c": "l\n{{ z }}\n"}
    spelled = document(data, lambda text: text.replace("{{", "<<"))
    assert spelled == 'a: {{ .x }}\nb: "<< .y }}"\nc: |\n  l\n  <<  z }}\n'.replace("<<  z", "<< z")


def test_what_is_given_under_a_condition_has_lines_around_it() -> None:
    data = {"a": Given("{{ if x }}", "{{ end }}", {"b": 1}), "l": [Given("{{ if y }}", "{{ end }}", "i"), "j"]}
    assert document(data) == "{{ if x }}\na:\n  b: 1\n{{ end }}\nl:\n{{ if y }}\n- i\n{{ end }}\n- j\n"


def test_an_item_whose_first_entry_may_be_missing_keeps_its_dash() -> None:
    text = document([{"a": Given("#if", "#end", 1), "b": 2}])
    assert yaml.safe_load(text) == [{"a": 1, "b": 2}]
    assert yaml.safe_load(text.replace("  a: 1\n", "")) == [{"b": 2}]
