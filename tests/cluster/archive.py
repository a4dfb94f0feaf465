"""Images of few files, written as ``docker save`` writes them, without an engine.

https://github.com/moby/moby/blob/v28.5.2/image/spec/spec.md
"""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write(
    target: Path,
    name: str,
    files: Mapping[str, Path | bytes],
    *,
    entrypoint: Sequence[str],
    command: Sequence[str] = (),
    user: str = "65532:65532",
    links: Mapping[str, str] | None = None,
) -> None:
    """Write an image with ``files`` (by path in the image) and symbolic ``links``; all files can be executed."""
    layer = target.with_suffix(".layer")
    try:
        _layer(layer, files, links or {})
        with layer.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        config = {"Entrypoint": list(entrypoint), "Cmd": list(command), "User": user, "Env": ["PATH=/bin"]}
        machine = {"architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()), "os": "linux"}
        image = json.dumps(
            {**machine, "config": config, "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}}
        )
        file = f"{hashlib.sha256(image.encode()).hexdigest()}.json"
        manifest = json.dumps([{"Config": file, "RepoTags": [name], "Layers": ["layer.tar"]}])
        with tarfile.open(target, "w") as archive:
            _add(archive, "manifest.json", manifest.encode())
            _add(archive, file, image.encode())
            archive.add(layer, "layer.tar")
    finally:
        layer.unlink(missing_ok=True)


def _layer(target: Path, files: Mapping[str, Path | bytes], links: Mapping[str, str]) -> None:
    with tarfile.open(target, "w") as archive:
        for directory, mode in (("tmp", 0o1777), ("bin", 0o755), ("etc", 0o755)):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            archive.addfile(entry)
        for path, content in sorted(files.items()):
            _add(archive, path.lstrip("/"), content if isinstance(content, bytes) else content.read_bytes())
        for path, to in sorted(links.items()):
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, to
            archive.addfile(entry)


def _add(archive: tarfile.TarFile, path: str, content: bytes) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), 0o755
    archive.addfile(entry, io.BytesIO(content))
