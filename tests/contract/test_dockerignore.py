"""What Slipway takes into the fingerprint of a build context is what BuildKit sends."""

import subprocess
import tarfile
from pathlib import Path

import pytest

from tasks.build.sources import context_files

TREE = [
    *("a", "b.md", "README.md", "src/a", "src/b.md", "src/deep/a", "src/deep/c.go", "build/out", "build/keep"),
    *("[x]/a", ".git/config", "src/.hidden", "umläut", "with blank", "a.b", "axb", "dir/sub/file", "dir/other"),
    *("^a", "a$b"),
]

IGNORE = {
    "nothing": "",
    "comment and blank lines": "# a\n\n   \n a \n",
    "byte order mark": "\ufeffa\n",
    "a name at the root only": "a\n",
    "a leading slash": "/a\n",
    "a trailing slash": "build/\n",
    "a name at any depth": "**/a\n",
    "an ending at any depth": "**/*.md\n",
    "star stays in its directory": "*.md\nsrc/*\n",
    "question mark": "a?b\n",
    "a dot is a dot": "a.b\n",
    "dollar and caret": "a$b\n",
    "character class": "[ab]*\n",
    "escaped": "\\[x\\]\n",
    "everything but one": "*\n!src\n",
    "everything but one file below": "*\n!src/deep/c.go\n",
    "one directory but a file": "build\n!build/keep\n",
    "readmitted, then out again": "src\n!src/deep\nsrc/deep/a\n",
    "order decides": "!a\na\n",
    "double star in the middle": "src/**/a\n",
    "double star at the end": "src/**\n!src/a\n",
    "two levels": "*/*/file\n",
    "parent": "./src/../a\n",
    "exclamation mark with a blank": "*\n! src/a\n",
    "hidden": "**/.*\n",
    "double star without a slash": "**a\n",
    "the Dockerfile itself": "Dockerfile\n.dockerignore\n",
}


@pytest.mark.parametrize("rules", IGNORE.values(), ids=IGNORE)
def test_files_of_the_context_are_those_that_buildkit_sends(tmp_path: Path, rules: str) -> None:
    context = tmp_path / "context"
    for name in TREE:
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(name)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (context / ".dockerignore").write_text(rules)
    archive = tmp_path / "sent.tar"
    subprocess.run(
        ["docker", "buildx", "build", "--quiet", f"--output=type=tar,dest={archive}", str(context)],
        check=True,
        capture_output=True,
    )
    with tarfile.open(archive) as tar:
        sent = {name.strip("/") for name in tar.getnames()}

    # The Dockerfile always counts, wherever it is; BuildKit reads it apart from the context.
    assert set(context_files(str(context), "Dockerfile")) - {"Dockerfile"} == sent - {"Dockerfile"}
