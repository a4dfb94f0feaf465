"""``x-slipway`` of several Compose files, merged."""

import os
from pathlib import Path
from typing import Any

import pytest

from tasks.host.profile.extensions import override_file, parse_compose
from tasks.host.profile.load_profile import load_profile
from tasks.host.profile.settings import settings
from tasks.model.errors import InputError
from tasks.model.stack.layering import Override, Reset, merge, sections


@pytest.mark.parametrize(
    ("earlier", "later", "both"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, None, {"a": 1}),
        (None, {"a": 1}, {"a": 1}),
        ({"proxy": {"check": ["a", "b"]}}, {"proxy": {"check": ["c"]}}, {"proxy": {"check": ["c"]}}),
        ({"smoke": [{"url": "a"}]}, {"smoke": [{"url": "b"}]}, {"smoke": [{"url": "a"}, {"url": "b"}]}),
        ({"smoke": [{"url": "a"}]}, {"smoke": [{"url": "a"}]}, {"smoke": [{"url": "a"}]}),
        ({"load": {"targets": ["a"]}}, {"load": {"targets": ["b"]}}, {"load": {"targets": ["a", "b"]}}),
        ({"smoke": [1], "b": 1}, {"smoke": Override([2])}, {"smoke": [2], "b": 1}),
        ({"a": 1}, Override({"b": 2}), {"b": 2}),
        ({"a": 1}, Override(None), None),
        ({"a": 1}, Reset(), None),
        ({"a": 1, "b": 2}, {"a": Reset()}, {"a": None, "b": 2}),
    ],
)
def test_values_of_two_files_are_merged(earlier: Any, later: Any, both: Any) -> None:
    assert merge(earlier, later) == both


def test_the_sections_of_a_file_are_found_without_a_parser() -> None:
    result = sections(
        "# x-slipway\nx-slipway:\n  accept: {CIS-5.1: why}\nservices:\n  web: # the site\n"
        "    extends: {service: base}\n    x-slipway:\n# a comment\n      smoke:\n      - url: http://a/\n"
        "    image: a\n  'base':\n    x-slipway: {job: once}\n"
    )
    assert result is not None
    assert dict(result.settings) == {
        "": "x-slipway:\n  accept: {CIS-5.1: why}",
        "web": "x-slipway:\n  smoke:\n  - url: http://a/",
        "base": "x-slipway: {job: once}\n",
    }
    assert dict(result.extends) == {"web": "extends: {service: base}"}


@pytest.mark.parametrize(
    "text",
    [
        "services: {web: {x-slipway: {job: once}}}\n",
        "services:\n  web: {x-slipway: {job: once}}\n",
        "services:\n  web: &web\n    x-slipway: {job: once}\n  two:\n    <<: *web\n",
        "services:\n  web: !override\n    x-slipway: {job: once}\n",
        "x-common: &common\n  x-slipway: {job: once}\nservices:\n  web:\n    <<: *common\n",
        "services:\n  web:\n    labels: {a: x-slipway}\n",
    ],
)
def test_text_that_needs_a_parser_is_left_to_it(text: str) -> None:
    assert sections(text) is None


def test_a_compose_file_is_read_as_compose_reads_it() -> None:
    document = parse_compose(
        "a: on\nb: 22:30\nc: 2027-01-31\nd: 12\ne: true\nf: null\ng: !override 3\nh: !x [1]\n", "f"
    )
    assert {**document, "g": document["g"].value} == {
        "a": "on", "b": "22:30", "c": "2027-01-31", "d": 12, "e": True, "f": None, "g": 3, "h": [1],
    }  # fmt: skip


class Files:
    """The Compose files of a project, and the override that is made from them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def together(self, **texts: str) -> Any:
        for name, text in texts.items():
            (self.root / f"{name}.yml").write_text(text)
        names = ":".join(f"{name}.yml" for name in texts if name != "other")
        (self.root / "dev.env").write_text(f"COMPOSE_FILE={names}\n")
        text = override_file(load_profile("dev"), settings())
        return _untagged(parse_compose(text, "over")) if text else None


def _untagged(value: Any) -> Any:
    if isinstance(value, Override):
        return _untagged(value.value)
    return {key: _untagged(item) for key, item in value.items()} if isinstance(value, dict) else value


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    for key in [key for key in os.environ if key.startswith(("SLIPWAY_", "COMPOSE_", "DOCKER_"))]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("SLIPWAY_PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("SLIPWAY_ENVS_DIR", str(tmp_path))
    return Files(tmp_path)


WEB = "services:\n  web:\n    image: web\n    x-slipway: {rollout: start-first, smoke: [{url: 'http://${H:-h}/a'}]}\n"


def test_one_file_alone_needs_nothing(files: Files) -> None:
    assert files.together(a=WEB, b="services:\n  web:\n    restart: always\n") is None


def test_a_later_file_adds_to_what_an_earlier_one_says(files: Files) -> None:
    later = "services:\n  web:\n    x-slipway:\n      smoke: [{url: 'http://${H:-h}/b'}]\n"
    later += "  two:\n    x-slipway: {job: once}\n"
    both = {"rollout": "start-first", "smoke": [{"url": "http://${H:-h}/a"}, {"url": "http://${H:-h}/b"}]}
    assert files.together(a=WEB, b=later) == {"services": {"web": {"x-slipway": both}}}


def test_the_top_level_is_merged_too(files: Files) -> None:
    first, second = "x-slipway: {accept: {CIS-5.1: a}}\n", "x-slipway:\n  accept: {CIS-5.2: b}\n"
    assert files.together(a=WEB + first, b=second) == {"x-slipway": {"accept": {"CIS-5.1": "a", "CIS-5.2": "b"}}}


def test_flow_style_and_aliases_are_understood(files: Files) -> None:
    flow = "services: {web: {x-slipway: {size-budget: 1MB}}}\n"
    alias = "x-check: &check [a, b]\nservices:\n  web:\n    x-slipway:\n      client: *check\n"
    assert files.together(a=WEB, b=flow, c=alias)["services"]["web"]["x-slipway"] == {
        "rollout": "start-first", "smoke": [{"url": "http://${H:-h}/a"}], "size-budget": "1MB", "client": ["a", "b"],
    }  # fmt: skip


def test_a_service_that_extends_another_inherits_its_settings(files: Files) -> None:
    two = "services:\n  two:\n    extends: {file: other.yml, service: web}\n    x-slipway: {rollout: recreate}\n"
    merged = files.together(other=WEB, a=two)
    assert merged == {
        "services": {"two": {"x-slipway": {"rollout": "recreate", "smoke": [{"url": "http://${H:-h}/a"}]}}}
    }
    three = WEB + "  three:\n    extends: web\n    x-slipway: {rollout: recreate}\n"
    assert files.together(a=three)["services"]["three"]["x-slipway"]["rollout"] == "recreate"


def test_later_files_override_included_ones(files: Files) -> None:
    main = "include: [other.yml]\nservices:\n  two:\n    image: x\n"
    later = "services:\n  web:\n    x-slipway: {rollout: recreate}\n"
    merged = files.together(other=WEB, a=main, b=later)
    assert merged["services"]["web"]["x-slipway"]["rollout"] == "recreate"
    assert "smoke" in merged["services"]["web"]["x-slipway"]


def test_a_file_may_remove_settings_of_earlier_files(files: Files) -> None:
    assert files.together(a=WEB, b="services:\n  web:\n    x-slipway: !override {job: once}\n") == {
        "services": {"web": {"x-slipway": {"job": "once"}}}
    }
    assert files.together(a=WEB, b="services:\n  web:\n    x-slipway: !reset null\n") is None
    assert files.together(a=WEB, b="services:\n  web: !reset null\n") is None


def test_a_file_that_cannot_be_read_is_named(files: Files) -> None:
    with pytest.raises(InputError, match=r"b\.yml:2: not valid YAML.*would take the place of what other files say"):
        files.together(a=WEB, b="services: {web: {x-slipway: {job: once}}\n}}\n")
