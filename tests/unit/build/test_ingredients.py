"""What makes an image new: a file, an argument, a base, a stage, another image, a setting, a tool."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support import ROOT, service

from tasks.build.plan.bake import Target
from tasks.build.plan.dockerfile import parse
from tasks.build.plan.ingredients import (
    Built,
    ContextFiles,
    Ingredients,
    Why,
    builds,
    differences,
    document,
    ingredients,
    newest_first,
    tool_differences,
)
from tasks.build.plan.inputs import Inputs
from tasks.build.sources import context_files_of

DOCKERFILE = """
ARG GO=1.25
FROM golang:${GO} AS build
COPY go.mod go.sum ./
COPY src src
RUN go build
FROM scratch
COPY --from=build /app /app
COPY static static
"""
FILES = {"go.mod": "1", "go.sum": "1", "src": "d", "src/main.go": "1", "static/a.css": "1", "README.md": "1"}


def made(
    text: str = DOCKERFILE, files: dict[str, str] | None = None, stage: str = "", bases: dict[str, str] | None = None,
    **target: Any,
) -> tuple[Ingredients, Any, ContextFiles]:  # fmt: skip
    """Return what goes into the image of a service, with its Dockerfile and its files."""
    dockerfile = parse(text)
    taken = {one.name: dockerfile.takes(one.name) for one in dockerfile.stages}
    found = ContextFiles(FILES if files is None else files, further={"Dockerfile": str(hash(text))}, taken=taken)
    build = service(build={"context": "/shop", **target.pop("build", {})}).recipe()
    one = Target("web", stage, "shop/web:1", (), target.pop("arguments", {}), build, "f")
    inputs = Inputs(dockerfile, "c", bases or {"golang:1.25": "sha256:go"})
    return ingredients(one, inputs, found, target.pop("links", {}), {"engine": "26"}), dockerfile, found


def why(now: tuple[Ingredients, Any, ContextFiles], then: Ingredients | None = None) -> list[str]:
    """Return in words what is otherwise than ``then``, by default than of the Dockerfile above."""
    told = differences(then or made()[0], now[0], now[1], now[2], "Dockerfile")
    return [one.words() for one in told]


def test_equal_ingredients_differ_in_nothing() -> None:
    assert why(made()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"src/main.go": "2"}, ["file src/main.go changed (stage build)"]),
        ({"static/b.css": "1"}, ["file static/b.css added (stage 1)"]),
        ({"src": "e", "src/new.go": "1"}, ["file src/new.go added (stage build)"]),
        ({"README.md": "2"}, []),
    ],
)
def test_a_file_is_named_with_the_stages_that_take_it(change: dict[str, str], words: list[str]) -> None:
    assert why(made(files={**FILES, **change})) == words


def test_a_file_that_is_gone_is_named() -> None:
    left = {name: text for name, text in FILES.items() if name != "go.sum"}
    assert why(made(files=left)) == ["file go.sum removed (stage build)"]


def test_a_changed_instruction_is_told_as_its_stage() -> None:
    assert why(made(DOCKERFILE.replace("go build", "go build -v"))) == ["stage build changed"]
    heredoc = DOCKERFILE.replace("RUN go build", "RUN <<END\ngo build\nEND")
    assert why(made(heredoc.replace("go build", "go vet")), made(heredoc)[0]) == ["stage build changed"]
    assert why(made(DOCKERFILE + "FROM scratch AS other\n", stage="1"), made(stage="1")[0]) == [
        "file Dockerfile changed"
    ]


def test_a_comment_is_a_change_of_the_file_only() -> None:
    assert why(made(DOCKERFILE + "# built by CI\n")) == ["file Dockerfile changed"]


def test_arguments_bases_images_and_settings_are_named() -> None:
    newer = made(DOCKERFILE.replace("1.25", "1.26"), bases={"golang:1.26": "sha256:new"})
    assert why(newer) == ["argument GO changed", "base golang:1.25 removed", "base golang:1.26 added"]
    assert why(made(bases={"golang:1.25": "sha256:patched"})) == ["base golang:1.25 changed"]
    assert why(made(arguments={"VERSION": "1.4"}), made(arguments={"VERSION": "1.3"})[0]) == [
        "argument VERSION changed"
    ]
    assert why(made(build={"network": "host"})) == ["setting network added"]
    linked = {"build": {"additional_contexts": {"base": "service:base"}}}
    one, two = made(**linked, links={"base": "f1"})[0], made(**linked, links={"base": "f2"})
    assert why(two, one) == ["image base changed"]
    assert why(made(stage="build"))[0] == "target build was (last)"


def test_a_tool_of_another_version_is_told_apart() -> None:
    now = made()[0]
    newer = replace(now, tools={"engine": "28", "buildx": "v0.20"})
    assert [one.words() for one in tool_differences(now, newer)] == [
        "tool buildx (none) → v0.20", "tool engine 26 → 28"
    ]  # fmt: skip
    assert tool_differences(now, now) == ()


def test_notes_are_read_as_they_were_written() -> None:
    known = {"shop/web:1": Built("sha256:a", made()[0], (Why("file", "a", "changed", ("build",)),))}
    assert builds(document(known)) == known
    assert builds(b"not ours") == builds(b"") == builds(b'{"images": {"a": {}}}') == {}
    assert list(newest_first({"b": known["shop/web:1"]}, known.items())) == ["b", "shop/web:1"]


def test_the_files_are_those_that_buildkit_sees(tmp_path: Path) -> None:
    for name in ("Dockerfile", "a.txt", "more/b.txt", "secret.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY more /\n")
    (tmp_path / ".dockerignore").write_text("secret.txt\n")
    web = service(build={"context": str(tmp_path), "dockerfile": "Dockerfile"})
    engine: Any = type("Engine", (), {"image": staticmethod(lambda _: None)})

    files = context_files_of([web], engine)["web"]
    assert set(files.main) == {"Dockerfile", ".dockerignore", "a.txt", "more", "more/b.txt"}
    assert set(files.of("0")) == {"Dockerfile", "more", "more/b.txt"}
    before = files.main["more/b.txt"]
    (tmp_path / "more" / "b.txt").write_text("other")
    assert context_files_of([web], engine)["web"].main["more/b.txt"] != before
    remote = service("web", build={"context": "https://example.com/shop.git"})
    assert context_files_of([remote], engine) == {"web": ContextFiles()}


def test_the_schema_is_one() -> None:
    schema = json.loads((ROOT / "docs" / "schemas" / "build.why-v1.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    image = {
        "service": "web", "target": "", "reference": "shop/web:1", "unchanged": False, "cause": "x", "known": True,
        "why": [{"kind": "file", "name": "a", "change": "changed", "stages": ["build"]}], "tools": [], "made": None,
    }  # fmt: skip
    found = {"schema": "slipway/build.why/v1", "environment": "dev", "images": [image]}
    Draft202012Validator(schema).validate(found)
    assert not Draft202012Validator(schema).is_valid({**found, "images": [{**image, "why": ["file a"]}]})
