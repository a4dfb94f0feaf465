"""What Tab completes in bash, zsh and fish: real shells at a terminal, without Python once the lists are there."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tasks" / "cli" / "program.py"
START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
SHELLS = [
    pytest.param(name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed"))
    for name in START
]
# What is typed before Tab, and the line after it.
LINES = {
    "inv deploy.stat": "inv deploy.status",
    "inv deploy.status --js": "inv deploy.status --json",
    "inv logs --env st": "inv logs --env staging",
    "inv logs --env=st": "inv logs --env=staging",
    "inv env.show st": "inv env.show staging",
    "inv env.diff dev st": "inv env.diff dev staging",
    "inv deploy.status --env staging-r": "inv deploy.status --env staging-rehearsal",
    "inv logs --service wo": "inv logs --service worker",
    "inv logs --env staging --service cac": "inv logs --env staging --service cache",
    "inv deploy.status --env test --js": "inv deploy.status --env test --json",
    "inv deploy.rollback --to 4": "inv deploy.rollback --to 42",
    "inv db.restore --file backups/shop/20": "inv db.restore --file backups/shop/2026.dump",
    "inv deploy.maintenance --state of": "inv deploy.maintenance --state off",
    "inv check --only ruf": "inv check --only ruff",
    "inv completion fi": "inv completion fish",
}


class Shop:
    """A project with profiles, a program `inv` for it that notes its starts, and an environment."""

    def __init__(self, root: Path) -> None:
        self.root, self.started = root, root / "started"
        (root / "compose.yaml").write_text("services: {worker: {image: a}, web: {image: b}}\n")
        (root / "staging.yaml").write_text("services: {cache: {image: a}, web: {image: b}}\n")
        (root / "envs").mkdir()
        for name, files in (("dev", "compose.yaml"), ("staging", "staging.yaml")):
            (root / "envs" / f"{name}.env").write_text(f"COMPOSE_PROJECT_NAME=shop-{name}\nCOMPOSE_FILE={files}\n")
        (root / "envs" / "staging-rehearsal.local.env").write_text("COMPOSE_PROJECT_NAME=shop-rehearsal\n")
        (root / "envs" / "dev.local.env").write_text("HEALTH_TIMEOUT=9s\n")
        (root / "backups" / "shop").mkdir(parents=True)
        (root / "backups" / "shop" / "2026.dump").write_text("dump")
        (root / "bin").mkdir()
        program = root / "bin" / "inv"
        program.write_text(
            f'#!/bin/sh\necho "$*" >>{self.started}\n'
            'case "$*" in *"--values release"*) printf "42\\n7\\n"; exit ;; esac\n'
            f'exec {sys.executable} {PROGRAM} --search-root {ROOT} "$@"\n'
        )
        program.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if name in ("HOME", "LANG")}
        self.environment = {
            **kept, "PATH": f"{root}/bin:{os.environ['PATH']}", "XDG_CACHE_HOME": str(root / "cache"), "TERM": "dumb",
            "HOME": str(root), "SLIPWAY_PROJECT_DIR": str(root), "SLIPWAY_ENVS_DIR": str(root / "envs"),
            "SLIPWAY_BACKUPS_DIR": str(root / "backups"),
        }  # fmt: skip

    def script(self, shell: str) -> Path:
        """Write the completion script of a shell for the program of this shop, and return its path."""
        path = self.root / f"completion.{shell}"
        asked = [sys.executable, str(PROGRAM), "--search-root", str(ROOT), "completion", shell]
        text = subprocess.run(
            asked, cwd=self.root, env=self.environment, capture_output=True, text=True, check=True
        ).stdout
        path.write_text(text.replace(f"{ROOT}/inv", str(self.root / "bin" / "inv")))
        return path


class Terminal:
    """A shell at a terminal; Ctrl-X in front of a Tab's answer would be the shell's own, so lines are read by echo."""

    def __init__(self, shell: str, shop: Shop) -> None:
        self.child, self.descriptor = pty.fork()
        if self.child == 0:
            os.chdir(shop.root)
            os.execvpe(START[shell][0], START[shell], shop.environment)
        self.enter(f". {shop.script(shell)}" if shell != "fish" else f"source {shop.script(shell)}")

    def _read(self, until: str, seconds: float) -> str:
        text, end = "", time.monotonic() + seconds
        while until not in text and time.monotonic() < end:
            if select.select([self.descriptor], [], [], 0.1)[0]:
                text += os.read(self.descriptor, 65536).decode(errors="replace")
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>()][0B]?|\r", "", text)

    def enter(self, line: str) -> None:
        """Type a line and wait until the shell has run it."""
        os.write(self.descriptor, f"{line}; echo do''ne\n".encode())
        assert "done" in self._read("done", 20)

    def completed(self, typed: str) -> str:
        """Type, press Tab, and return the words of the line: as a comment's echo would be read by the shell."""
        os.write(self.descriptor, f"{typed}\t".encode())
        time.sleep(0.05)
        # Home, then `echo `: the line is printed in place of being run; the marker says where it ends.
        os.write(self.descriptor, b"\x05 :e''nd\x01echo :be''gin \n")
        text = self._read(":end", 20)
        return " ".join(text.rpartition(":begin")[2].partition(":end")[0].split())

    def close(self) -> None:
        """End the shell."""
        os.close(self.descriptor)
        os.waitpid(self.child, 0)


@pytest.mark.parametrize("shell", SHELLS)
def test_in_the_directory_of_another_project_its_tasks_are_completed(shell: str, tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    for name in ("SLIPWAY_PROJECT_DIR", "SLIPWAY_ENVS_DIR", "SLIPWAY_BACKUPS_DIR"):
        del shop.environment[name]
    (tmp_path / "slipway.yaml").write_text("slipway: {project_dir: ., envs_dir: envs}\n")
    other = tmp_path / "other"
    (other / "envs").mkdir(parents=True)
    (other / "slipway.yaml").write_text("slipway:\n  project_dir: .\n  envs_dir: envs\n")
    (other / "compose.yaml").write_text("services: {web: {image: b}}\n")
    (other / "envs" / "moon.env").write_text("COMPOSE_PROJECT_NAME=other\n")
    terminal = Terminal(shell, shop)
    try:
        here = terminal.completed("inv deploy.stag")
        terminal.enter(f"cd {other}")
        there = terminal.completed("inv deploy.mo")
    finally:
        terminal.close()

    assert (here, there) == ("inv deploy.staging", "inv deploy.moon")


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_completes_tasks_options_and_values_without_python(shell: str, tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    terminal = Terminal(shell, shop)
    try:
        first = {typed: terminal.completed(typed) for typed in LINES}
        starts = shop.started.read_text().splitlines()
        second = {typed: terminal.completed(typed) for typed in LINES}
    finally:
        terminal.close()

    assert first == LINES
    assert second == LINES
    assert shop.started.read_text().splitlines() == starts  # the second time, nothing was asked
    assert sorted(line.split()[0] for line in starts) == ["--complete", *["completion"] * 3]
