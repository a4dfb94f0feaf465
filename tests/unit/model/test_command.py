"""Commands as data, and as lines that can be pasted."""

import shutil
import subprocess
from pathlib import Path

import pytest
from support import profile

from tasks.model.command import Command, exports
from tasks.model.compose import build_files, compose
from tasks.model.secret import Secret

ODD = ["", " ", "a b", "it's", '"', "$HOME", "`id`", "\\", "*", "a\nb", "-n", "%s%d", "é", "!", "#", "a;b", "~", "\t"]


def in_sh(*lines: str) -> str:
    shell = shutil.which("sh")
    assert shell
    done = subprocess.run([shell], input="\n".join(lines), capture_output=True, text=True, check=True)
    return done.stdout


def test_a_line_in_sh_gets_the_very_arguments() -> None:
    assert in_sh(Command(("printf", "[%s]", *ODD)).shell()) == "".join(f"[{word}]" for word in ODD)


@pytest.mark.parametrize("text", ["", "plain", "two\nlines\n", "it's $HOME `id` \\n %s", '{"a": "é"}'])
def test_a_line_in_sh_gets_the_very_input(text: str) -> None:
    assert in_sh(Command(("cat",), stdin=text).shell()) == text


def test_a_line_in_sh_reads_and_writes_the_very_files(tmp_path: Path) -> None:
    source, sink = tmp_path / "it's in", tmp_path / "$out"
    source.write_text("text")

    assert in_sh(Command(("cat",), source=str(source), sink=str(sink)).shell()) == ""
    assert sink.read_text() == "text"


def test_the_exports_set_the_very_values() -> None:
    values = {f"V{position}": word for position, word in enumerate(ODD)}

    assert in_sh(*exports(values), 'printf "[%s]" ' + " ".join(f'"${name}"' for name in values)) == "".join(
        f"[{word}]" for word in values.values()
    )


def test_the_exports_are_sorted_so_that_a_plan_reads_the_same_each_time() -> None:
    assert exports({"B": "2", "A": "1"}) == ("export A=1", "export B=2")


def test_a_secret_is_never_printed() -> None:
    lines = exports({"TOKEN": Secret("hunter2"), "URL": "x"})

    assert "hunter2" not in "".join(lines)
    assert lines[1] == "export URL=x"


def paste(lines: list[str], env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["sh"], input="\n".join(lines), capture_output=True, text=True, check=False, env=env)


def test_pasting_stops_at_a_secret_that_is_not_set() -> None:
    done = paste([*exports({"TOKEN": Secret("x")}), "echo went on"], env={})

    assert done.returncode != 0
    assert done.stdout == ""
    assert "TOKEN" in done.stderr
    assert "export it before pasting" in done.stderr


def test_pasting_goes_on_when_the_secret_is_set() -> None:
    done = paste([*exports({"TOKEN": Secret("x")}), "echo $TOKEN"], env={"TOKEN": "mine"})

    assert (done.returncode, done.stdout) == (0, "mine\n")


def test_compose_gets_the_resolved_values_and_no_stray_env_file() -> None:
    command = compose(
        profile(COMPOSE_FILE="a.yml:b.yml", HTTP_PORT="8080", API_TOKEN="s3cret"),
        "up",
        "--detach",
        cwd="/srv",
        reason="start",
    )

    assert command == Command(
        ("docker", "compose", "--env-file", "/dev/null", "up", "--detach"),
        env={"COMPOSE_FILE": "a.yml:b.yml", "HTTP_PORT": "8080", "API_TOKEN": Secret("s3cret")},
        cwd="/srv",
        reason="start",
    )


def test_the_schemas_defaults_stay_out_of_composes_environment() -> None:
    assert compose(profile(), "ps", cwd="/srv").env == {"COMPOSE_FILE": "docker-compose.yml"}


def test_other_files_replace_those_of_the_profile() -> None:
    command = compose(profile(COMPOSE_FILE="a.yml"), "config", cwd="/srv", files=("x.yml", "y.yml"))

    assert command.env["COMPOSE_FILE"] == "x.yml:y.yml"


def test_other_files_are_joined_by_the_profiles_own_separator() -> None:
    command = compose(
        profile(COMPOSE_FILE="a.yml;b.yml", COMPOSE_PATH_SEPARATOR=";"), "config", cwd="/srv", files=("x.yml", "y.yml")
    )

    assert command.env["COMPOSE_FILE"] == "x.yml;y.yml"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, ("docker-compose.yml",)),
        ({"COMPOSE_FILE": "a.yml:b.yml"}, ("a.yml", "b.yml")),
        ({"BASE_IMAGES": "local"}, ("docker-compose.yml",)),
        ({"BASE_IMAGES": "registry", "BASE_IMAGES_OVERRIDE": "bases.yml"}, ("docker-compose.yml",)),
        ({"BASE_IMAGES": "local", "BASE_IMAGES_OVERRIDE": "bases.yml"}, ("docker-compose.yml", "bases.yml")),
    ],
)
def test_the_override_of_local_base_images_is_read_by_builds_only(
    values: dict[str, str], expected: tuple[str, ...]
) -> None:
    assert build_files(profile(**values)) == expected
