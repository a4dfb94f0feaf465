"""YAML is read by libyaml, with the same data and the same words about faults as by PyYAML's own parser."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from support import ROOT

from tasks.host import project
from tasks.host.profile import compose_files, extensions, yaml_text
from tasks.host.profile.settings import read_yaml
from tasks.model.errors import InputError

FILES = sorted((ROOT / "docker_project").glob("*.y*ml"))
TEXT = """
a: &x {on: 1.5, n: 0o17, d: 2027-01-31, t: 22:30}
b: !override [*x, "yes", 'no', ~]
c: !reset null
d: !override yes
e: |
  two
  lines
<<: *x
"""


def shown(data: Any) -> str:
    """Return data as text, in its order; two ``!reset`` look alike."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(data))


@pytest.mark.parametrize("adapted", [compose_files._without_tags, extensions._as_compose])
@pytest.mark.parametrize("text", [TEXT, *(path.read_text(encoding="utf-8") for path in FILES)])
def test_both_parsers_read_the_same(text: str, adapted: Callable[[Any], Any]) -> None:
    assert issubclass(yaml_text._FAST, yaml.CSafeLoader)
    assert shown(yaml_text.load(text, adapted)) == shown(yaml.load(text, adapted(yaml.SafeLoader)))


def test_documents_are_read_one_by_one() -> None:
    assert yaml_text.load_all("a: 1\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]
    with pytest.raises(yaml.YAMLError):
        yaml_text.load("a: 1\n---\nb: 2\n")


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "a:\n\t- b", "*none", "a: !!python/name:os", "[" * 2000, "\x01"])
def test_a_fault_is_told_in_the_words_of_pyyaml(text: str) -> None:
    with pytest.raises(yaml_text.FAULTS) as own:
        yaml.safe_load(text)
    with pytest.raises(type(own.value)) as caught:
        yaml_text.load(text)
    assert str(caught.value) == str(own.value)


def test_a_fault_names_its_line() -> None:
    with pytest.raises(InputError) as caught:
        read_yaml("a: 1\nb: [\n", "invoke.yaml")
    assert caught.value.message.startswith("invoke.yaml:3: not valid YAML: ")


@pytest.mark.parametrize(
    "text",
    ["", "a: {b: [1, 'x', ~, {c: 1.5}], 2: yes, d: 0x10}", TEXT.replace("!override ", "").replace("!reset ", "")],
)
def test_a_model_is_read_as_the_constructors_of_the_parser_read_it(text: str) -> None:
    expected = yaml.load(text, yaml.SafeLoader)
    assert shown(project.model(text)) == shown(expected)
