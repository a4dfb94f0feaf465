"""A build after a build: an image that did not change keeps its id, and every image that is reported exists."""

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .support import Checkout, docker, leftovers, remove

_NUMBERS = itertools.count()
Make = Callable[..., Checkout]
# The path to copy is in an argument, which Slipway does not resolve: every file of the context counts.
HIDDEN = "FROM scratch\nARG WHAT=settings\nCOPY $WHAT /\nENV A=b\n"
COMPOSE = "services: {database: {image: NAME/database:dev, build: .}}\n"


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


def dangling(project: str) -> str:
    labels = (f"label=com.docker.compose.project={project}", f"label=slipway.builds={project}")
    return "".join(docker("image", "ls", "-q", "--filter", "dangling=true", "--filter", label) for label in labels)


def test_an_image_of_the_same_content_keeps_its_id_and_gets_the_new_tags(make: Make) -> None:
    checkout = make(COMPOSE, Dockerfile=HIDDEN)
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
        assert dangling(project) == ""
        # The next plan knows what this build recorded: there is nothing to build.
        assert "nothing to build" in checkout.inv("--dry", "build").stdout
    assert identity(f"{image}:1.4.2-dirty") == first

    (directory / "settings").write_text("port = 2\n")
    assert not checkout.json("build")["images"][0]["cached"]
    assert identity(f"{image}:dev") != first


def test_clean_removes_the_record_of_builds_with_the_images(make: Make) -> None:
    checkout = make(COMPOSE, Dockerfile=HIDDEN)
    (project,) = checkout.projects
    checkout.inv("build")
    (checkout.project_dir / "more").write_text("more")
    checkout.inv("build")
    assert docker("image", "ls", "-q", f"{project}-builds:current")
    checkout.inv("clean", "--env", "dev", "--images", "--yes")
    assert leftovers(project) == []


def test_a_file_that_no_stage_copies_changes_nothing(make: Make) -> None:
    checkout = make(COMPOSE, Dockerfile="FROM scratch\nCOPY settings /\n")
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
    assert [image["service"] for image in checkout.json("build")["images"]] == ["a.b", "a_b"]
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


def test_what_makes_an_image_new_is_named_also_where_its_content_stays(make: Make) -> None:
    checkout = make(COMPOSE, Dockerfile="FROM scratch\nARG A=1\nCOPY settings /\n")
    image, directory = f"{checkout.projects[0]}/database:dev", checkout.project_dir
    assert checkout.json("build", "--why")["images"][0]["cause"] == f"image {image} does not exist"
    checkout.inv("build")
    first = identity(image)

    (directory / "settings").write_text("port = 2\n")
    (told,) = checkout.json("build", "--why")["images"]
    changed = {"kind": "file", "name": "settings", "change": "changed", "stages": ["0"]}
    assert (told["unchanged"], told["why"]) == (False, [changed])
    assert identity(image) == first, "nothing is built"
    checkout.inv("build")
    (told,) = checkout.json("build", "--why")["images"]
    assert (told["unchanged"], told["why"], told["made"]) == (True, [], [changed])

    second = identity(image)
    (directory / "Dockerfile").write_text("FROM scratch\nARG A=1\nCOPY settings /\n# a comment\n")
    shown = checkout.inv("build", "--why").stdout
    assert "new" in shown and "file Dockerfile changed" in shown
    checkout.inv("build")
    assert identity(image) == second, "the cache has it, and the note is of what went in all the same"
    assert checkout.json("build", "--why")["images"][0]["why"] == []
    assert "--why builds nothing" in checkout.inv("build", "--why", "--push", code=2).stderr


def test_stand_in_images_of_services_that_the_project_does_not_have_are_built(make: Make) -> None:
    """On a fresh machine they are the first images that are built at all."""
    bases = "services: {base: {image: NAME/base:1, build: .}}\n"
    checkout = make(COMPOSE, Dockerfile=HIDDEN)
    (project,) = checkout.projects
    (checkout.project_dir / "bases.yaml").write_text(bases.replace("NAME", project))
    with (checkout.envs_dir / "dev.env").open("a") as file:
        file.write("BASE_IMAGES=local\nBASE_IMAGES_FILE=bases.yaml\n")
    made: list[str] = []
    try:
        for port in (1, 2):
            (checkout.project_dir / "settings").write_text(f"port = {port}\n")
            checkout.inv("image.bases")
            made.append(identity(f"{project}/base:1"))
        assert made[0] != made[1]
    finally:
        docker("rmi", "--force", *made, check=False)
