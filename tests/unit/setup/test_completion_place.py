"""Where completion scripts are installed, and how paths get into them."""

import shlex
import subprocess

import pytest

from tasks.setup import completion as acting
from tasks.setup.plan.check import steps
from tasks.setup.plan.completion import fish_quoted, place

HOME = {"home": "/home/ann", "data": "/home/ann/.local/share", "config": "/home/ann/.config", "zsh": "/home/ann/z dir"}


@pytest.mark.parametrize(
    ("shell", "lazy", "script", "start"),
    [
        ("bash", True, "/home/ann/.local/share/bash-completion/completions/inv", ""),
        ("bash", False, "/home/ann/.local/share/slipway/completion.bash", "/home/ann/.bashrc"),
        ("zsh", True, "/home/ann/.local/share/slipway/completion.zsh", "/home/ann/z dir/.zshrc"),
        ("fish", False, "/home/ann/.config/fish/completions/inv.fish", ""),
    ],
)
def test_a_script_goes_where_its_shell_finds_it(shell: str, lazy: bool, script: str, start: str) -> None:
    found = place(shell, HOME, lazy)
    assert (found.script, found.start_file) == (script, start)
    assert (script in found.line) == bool(start)
    assert script in found.now


def test_a_path_with_a_quote_is_one_word_in_fish() -> None:
    assert fish_quoted(r"/it's\here") == r"'/it\'s\\here'"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_no_place_of_a_script_is_left_open(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_ENVS_DIR", "/srv/it's mine/envs")
    text = acting._script(shell)
    assert "@ENVS@" not in text and "@" not in text.replace("[@]", "").replace("@table", "")
    assert fish_quoted("/srv/it's mine/envs") in text if shell == "fish" else shlex.quote("/srv/it's mine/envs") in text


def test_bash_reads_its_script() -> None:
    assert subprocess.run(["bash", "-n"], input=acting._script("bash"), text=True, check=True).returncode == 0


def test_the_steps_of_check_are_what_completion_offers() -> None:
    from tasks.cli.program import _VALUES

    assert _VALUES["only"].split(",") == [step.name for step in steps("", (), "")]
