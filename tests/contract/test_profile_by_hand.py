"""The sample project by hand, with plain `docker compose`, is the project that Slipway sees."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tasks.host.profile import load_profile
from tasks.model.profile.interpolation import scan
from tasks.model.secret import reveal

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "docker_project"
# What is set in the shell of whoever runs the tests is no part of the profiles.
CLEAN = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}


def config(words: list[str], env: Mapping[str, str], directory: Path = PROJECT) -> tuple[str, str]:
    command = ["docker", "compose", *words, "config", "--format", "json"]
    done = subprocess.run(command, cwd=directory, env={**CLEAN, **env}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.fixture
def tracked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The profiles as they are in the repository, without the local layers of this machine."""
    for path in (ROOT / "envs").glob("*.env"):
        if ".local." not in path.name:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    for key in os.environ:
        if key not in CLEAN:
            monkeypatch.delenv(key)
    monkeypatch.setenv("SLIPWAY_ENVS_DIR", str(tmp_path))


@pytest.mark.parametrize("environment", ["dev", "prod", "staging", "test"])
@pytest.mark.usefixtures("tracked")
def test_compose_by_hand_gives_the_same_model_as_through_the_profile(environment: str) -> None:
    by_hand, warnings = config(["--env-file", "../envs/base.env", "--env-file", f"../envs/{environment}.env"], {})
    profile = load_profile.load_profile(environment)
    env = {key: reveal(value) for key, value in profile.compose_env().items()}
    through_profile, _ = config(["--env-file", "/dev/null"], env)
    assert through_profile == by_hand
    assert "is not set" not in warnings


def test_the_variables_that_compose_misses_are_those_found_to_be_required(tmp_path: Path) -> None:
    text = (
        "name: x\nx-a: ${A}\nx-b: ${B:-d} ${C-d} ${D:+d} ${E+d}\nx-f: $F-$$G-$${H} # ${I}\n# ${J}\n"
        "x-k: |\n  # ${K}\nx-l: \"a # ${L}\" # ${M}\nx-n: 'it''s # ${N}'\nx-o: [x, '${O} # ${P}'] # ${Q}\n"
        "x-r: ${B:-${R}}\nservices: {a: {image: scratch, environment: [S, 'T=${T}']}}\n"
        "x-u:\n- >-\n  # ${U}\n- v: |\n    # ${V}\n  w: x # ${W}\nx-y: it's # ${Y}\n"
    )
    (tmp_path / "compose.yaml").write_text(text)
    _, warnings = config(["--env-file", "/dev/null"], {}, tmp_path)
    missed = {name for name in scan([("compose.yaml", text)]) if f'The \\"{name}\\" variable is not set' in warnings}
    assert missed == {name for name, variable in scan([("compose.yaml", text)]).items() if variable.required}
    assert missed == set("AFKLNOPRTUV")
    assert warnings.count("is not set") == len(missed)
