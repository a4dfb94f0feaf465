"""Whether an image has the files that are mounted over it is asked of a real engine."""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.host.engine.client import Engine
from tasks.kube.sources.image_facts import copies

NAME = f"slipway-test-copies:{os.getpid()}"


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """An image with the files `/code/main.py` and `/code/more/a`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("code/main.py", "code/more/a"):
            entry = tarfile.TarInfo(name)
            entry.size = 1
            tar.addfile(entry, io.BytesIO(b"1"))
    done = subprocess.run(["docker", "import", "-", NAME], input=buffer.getvalue(), capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no engine here: {done.stderr.decode()}")
    yield NAME
    subprocess.run(["docker", "image", "rm", NAME], capture_output=True, check=True)


def test_a_path_with_the_same_files_is_found_and_no_other(image: str, tmp_path: Path) -> None:
    for name, text in {"main.py": "1", "more/a": "1", "changed": "2"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    same = {name: tmp_path / name for name in ("main.py", "more/a")}
    (tmp_path / "other").write_text("2")
    places = {
        "/code": same,
        "/code/": same,
        "/srv": same,
        "/code/none": {},
        "/code/more": {"a": tmp_path / "other"},
    }
    assert copies(Engine(), image, places) == {"/code", "/code/"}
    assert copies(Engine(), f"{image}-none", {"/code": same}) == frozenset()
