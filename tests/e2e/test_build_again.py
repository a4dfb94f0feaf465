"""A build after a build: what did not change keeps its id, and what is said to be built is there."""

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .support import Checkout, docker, leftovers, remove

_NUMBERS = itertools.count()
Make = Callable[..., Checkout]
# What is copied stands in an argument: Slipway does not see it, so every file of the context counts.
HIDDEN = "FROM scratch\nARG WHAT=settings\nCOPY $WHAT /\nENV A=b\n"
ONE = "services: {database: {image: NAME/database:dev, build: .}}\n"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Make projects whose images need no base image."""
    names: list[str] = []

    def checkout(compose: str, **files: str) -> Checkout:
        name = f"slipway-again-{os.getpid()}-{next(_NUMBERS)}"
        names.append(name)
        directory = tmp_path / name
        (directory / "envs").mkdir(parents=True)
        (directory / "compose.yaml").write_text(compose.replace("NAME", name))
        (directory / "envs" / "dev.env").write_text(f"COMPOSE_PROJECT_NAME={name}\nCOMPOSE_FILE=compose.yaml\n")
        for file, text in {"settings": "port = 1\n", **files}.items():
            (directory / file).write_text(text)
        return Checkout(directory, directory / "envs", [name])

    yield checkout
    for name in names:
        remove(name)
        assert leftovers(name) == []


def identity(reference: str) -> str:
    return docker("image", "inspect", "--format", "{{.Id}}", reference)


def nameless(project: str) -> str:
    labels = (f"label=com.docker.compose.project={project}", f"label=slipway.builds={project}")
    return "".join(docker("image", "ls", "-q", "--filter", "dangling=true", "--filter", one) for one in labels)


def test_an_image_of_the_same_content_keeps_its_id_and_gets_the_new_tags(make: Make) -> None:
    checkout = make(ONE, Dockerfile=HIDDEN)
    (project,) = checkout.projects
    image, directory = f"{project}/database", checkout.project_dir
    checkout.inv("build")
    first = identity(f"{image}:dev")
    git = ["git", "-C", str(directory), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "one"), ("tag", "v1.4.2")):
        subprocess.run([*git, *words], check=True)
    for number in (1, 2):
        (directory / f"migration{number}").write_text("more")
        assert checkout.json("build")["images"][0]["cached"]
        assert identity(f"{image}:dev") == first
        assert nameless(project) == ""
        # What was learned is known to the next plan: there is nothing to build.
        assert "nothing to build" in checkout.inv("--dry", "build").stdout
    assert identity(f"{image}:1.4.2-dirty") == first

    (directory / "settings").write_text("port = 2\n")
    assert not checkout.json("build")["images"][0]["cached"]
    assert identity(f"{image}:dev") != first


def test_clean_removes_what_was_learned_with_the_images(make: Make) -> None:
    checkout = make(ONE, Dockerfile=HIDDEN)
    (project,) = checkout.projects
    checkout.inv("build")
    (checkout.project_dir / "more").write_text("more")
    checkout.inv("build")
    assert docker("image", "ls", "-q", f"{project}-builds:current")
    checkout.inv("clean", "--env", "dev", "--images", "--yes")
    assert leftovers(project) == []


def test_a_file_that_no_stage_copies_changes_nothing(make: Make) -> None:
    checkout = make(ONE, Dockerfile="FROM scratch\nCOPY settings /\n")
    checkout.inv("build")
    (checkout.project_dir / "migration").write_text("more")
    assert "nothing to build" in checkout.inv("--dry", "build").stdout


def test_services_whose_names_differ_by_a_sign_both_have_an_image(make: Make) -> None:
    build = "{context: ., args: {WHAT: %s}}"
    services = "".join(
        f"  {name}: {{image: 'NAME/{file}:1', build: {build % file}}}\n" for name, file in (("a.b", "x"), ("a_b", "y"))
    )
    checkout = make(f"services:\n{services}", Dockerfile=HIDDEN, x="x", y="y")
    (project,) = checkout.projects
    assert [one["service"] for one in checkout.json("build")["images"]] == ["a.b", "a_b"]
    assert identity(f"{project}/x:1") != identity(f"{project}/y:1")


def test_what_is_built_from_another_services_image_is_built_again_without_it_changing(make: Make) -> None:
    checkout = make(
        """
services:
  base: {image: "NAME/base:1", build: {context: .}}
  web:
    image: NAME/web:1
    build: {context: ., dockerfile: Dockerfile.web, additional_contexts: {base: "service:base"}}
""",
        **{"Dockerfile": "FROM scratch\nCOPY settings /\n", "Dockerfile.web": "FROM base\nCOPY page /\n", "page": "1"},
    )
    (project,) = checkout.projects
    checkout.inv("build")
    assert "nothing to build" in checkout.inv("--dry", "build").stdout
    base, web = identity(f"{project}/base:1"), identity(f"{project}/web:1")
    (checkout.project_dir / "page").write_text("2")
    checkout.inv("build")
    assert identity(f"{project}/base:1") == base
    assert identity(f"{project}/web:1") != web
