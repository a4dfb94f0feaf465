"""Images that say of themselves what those of others say, for a machine that no registry can be reached from.

A stand-in has the configuration, the users and the shell of the image that it stands for, as `published-images.json`
has them, and runs nothing. Of an image that is built, the Dockerfile is built without what it runs.
"""

import functools
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tasks.model.reference import split_reference

PREFIX = "slipway-stand-in.example.com"
_PUBLISHED = Path(__file__).parents[1] / "data" / "published-images.json"
_FROM = re.compile(r"FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+as\s+(\S+))?", re.IGNORECASE)
_KEPT = ("ARG", "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR")


def name_of(image: str) -> str:
    """Return how the stand-in of an image is called."""
    return f"{PREFIX}/{image}" if ":" in image.rpartition("/")[2] else f"{PREFIX}/{image}:latest"


@functools.cache
def published(image: str) -> str:
    """Build the stand-in of an image that is published, and return its name."""
    known: Mapping[str, Mapping[str, Any]] = json.loads(_PUBLISHED.read_text("utf-8"))
    facts = known.get(split_reference(image)[0], known[""])
    users = {"root": [0, 0], **facts.get("users", {})}
    files = {
        "etc/passwd": "".join(f"{user}:x:{uid}:{gid}::/:/bin/sh\n" for user, (uid, gid) in users.items()),
        "etc/group": "".join(f"{user}:x:{gid}:\n" for user, (_, gid) in users.items()),
        **({"bin/sh": "never run\n"} if facts.get("shell", True) else {}),
    }
    lines = ["FROM scratch", *(f"COPY {path} /{path}" for path in files), *facts["says"]]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, text in {**files, "Dockerfile": "\n".join(lines)}.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text.encode()), 0o755
            tar.addfile(entry, io.BytesIO(text.encode()))
    return _docker_build(name_of(image), "-", stdin=buffer.getvalue())


def built(build: Mapping[str, Any], name: str) -> str:
    """Build the stand-in of an image that is built here from ``build`` of the model, and return its name."""
    context = Path(build["context"])
    text = str(build.get("dockerfile_inline") or "")
    text = text or (context / str(build.get("dockerfile") or "Dockerfile")).read_text("utf-8")
    lines = list(_without_running(text))
    for base in {line.split()[1] for line in lines if line.startswith(f"FROM {PREFIX}")}:
        published(base.removeprefix(f"{PREFIX}/"))
    target = ("--target", str(build["target"])) if build.get("target") else ()
    arguments = [word for key, value in (build.get("args") or {}).items() for word in ("--build-arg", f"{key}={value}")]
    return _docker_build(name, str(context), "--file=-", *target, *arguments, stdin="\n".join(lines).encode())


def remove() -> None:
    """Remove all stand-ins."""
    words = ("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
    listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    if names := [name for name in listed if name.startswith(f"{PREFIX}/")]:
        subprocess.run(["docker", "image", "rm", *names], capture_output=True, check=False)


def _without_running(text: str) -> Iterator[str]:
    """Yield the lines of a Dockerfile whose bases are stand-ins, without what runs or comes from elsewhere."""
    stages = {"scratch"}
    for line in _instructions(text.splitlines()):
        word = line.split(maxsplit=1)[0].upper()
        if match := _FROM.match(line):
            base = match[1] if match[1] in stages else name_of(match[1])
            stages.add(match[2] or "")
            yield f"FROM {base}" + (f" AS {match[2]}" if match[2] else "")
        elif word in _KEPT:
            yield line
        elif word == "COPY" and "--from=" not in line:
            yield re.sub(r"\s--(chown|chmod)=\S+", "", line)


def _instructions(lines: Iterable[str]) -> Iterator[str]:
    """Yield instructions, each as one line; comments and here-documents are left out."""
    waiting, whole = "", ""
    for line in lines:
        if waiting:
            waiting = "" if line.strip() == waiting else waiting
            continue
        if line.lstrip().startswith("#") or not line.strip():
            continue
        whole += line.strip().removesuffix("\\") + " "
        if line.rstrip().endswith("\\"):
            continue
        if document := re.search(r"<<-?[\"']?(\w+)", whole):
            waiting = document[1]
        else:
            yield whole.strip()
        whole = ""


def _docker_build(name: str, context: str, *words: str, stdin: bytes) -> str:
    done = subprocess.run(
        ["docker", "build", "--quiet", f"--tag={name}", *words, context], input=stdin, capture_output=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.decode(errors='replace')[-600:]}")
    return name
