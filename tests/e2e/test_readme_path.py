"""The README's five minutes, line by line, from a fresh clone on a real engine."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from .support import ROOT, free_port, leftovers, remove

TAKES = 90  # seconds: a new .venv and the whole sample


def path() -> list[tuple[str, str]]:
    """Return the commands between the README's markers, each with the output that it shows."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- path: .*?-->\n```console\n(.*?)```\n<!-- /path -->", text, re.DOTALL)
    assert block
    steps = [step.partition("\n") for step in re.split(r"^\$ ", block[1], flags=re.MULTILINE) if step]
    return [(command, output) for command, _, output in steps]


def shown(printed: str, said: str) -> bool:
    """Return whether an output is what the README shows; it writes … for what differs each time."""
    pattern = ".*".join(re.escape(part) for part in said.strip().split("…"))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def test_the_readmes_first_lines_lead_to_a_running_stack(tmp_path: Path) -> None:
    project, port = f"slipway-readme-{os.getpid()}", free_port()
    ours = ("SLIPWAY_", "COMPOSE_", "VIRTUAL_ENV")
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(ours)},
        "COMPOSE_PROJECT_NAME": project,
        "IMAGE_REPOSITORY": project,
        "HTTP_PORT": str(free_port()),
        "HTTPS_PORT": str(port),
        "DATABASE_PORT": str(free_port()),
    }
    steps = path()
    assert [shlex.split(command)[0] for command, _ in steps] == ["git", "./inv", "curl", "./inv", "./inv"]
    root = tmp_path / "slipway"
    try:
        for command, output in steps:
            if command.startswith("git clone"):
                command = re.sub(r"https://\S+", shlex.quote(str(ROOT)), command).partition(" && ")[0] + f" {root}"
            done = subprocess.run(
                ["bash", "-c", command.replace(":8443", f":{port}")],
                cwd=root if root.exists() else tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=900,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            if command.startswith("git clone"):
                carry_over(root)
            if output:
                assert shown(done.stdout, output), f"{command}\n{done.stdout}"
    finally:
        remove(project)
    assert leftovers(project) == []


def carry_over(root: Path) -> None:
    """Bring what is not committed yet into the clone: what is tested is the checkout as it is."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
