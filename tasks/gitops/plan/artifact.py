"""Files as an OCI artifact that Flux reads, the commands that put it into a registry, and what they answer.

The media types and annotations are those of `flux push artifact`: https://fluxcd.io/flux/cheatsheets/oci-artifacts/

cosign sends it, because that is what signs it afterwards: `cosign load` pushes an OCI image layout as it is, by the
logins and certificates that it signs with.
"""

import gzip
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ...image.plan import registry, signing
from ...image.plan.signing import Trust
from ...model.command import Command
from ...model.errors import RefusedError
from ...model.lazy_pattern import lazy_pattern
from ...model.record import Record
from ...model.secret import Secret

# https://github.com/fluxcd/pkg/blob/main/oci/client.go
_CONFIG = "application/vnd.cncf.flux.config.v1+json"
_CONTENT = "application/vnd.cncf.flux.content.v1.tar+gzip"
_MANIFEST, _INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
# What cosign takes for the image of a layout: https://github.com/sigstore/cosign/blob/v2.5.0/pkg/oci/layout/index.go
_IMAGE = {"kind": "dev.cosignproject.cosign/image"}
_SECONDS = 120.0
_DIGEST = lazy_pattern(r"@(sha256:[0-9a-f]{64})\s*\Z")
_ABSENT = lazy_pattern(r"manifest.unknown|name.unknown|not.found|\b404\b")


class Artifact(Record):
    """An artifact of one layer: the bytes of its manifest, and of what the manifest names."""

    manifest: bytes
    config: bytes
    layer: bytes

    @property
    def digest(self) -> str:
        """The digest under which a registry has it."""
        return _digest(self.manifest)

    def layout(self) -> dict[str, bytes]:
        """Return it as an OCI image layout, by path: https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md"""
        blobs = {f"blobs/{_digest(one).replace(':', '/')}": one for one in (self.layer, self.config, self.manifest)}
        image = {**_descriptor(_MANIFEST, self.manifest), "annotations": _IMAGE}
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [image]}
        return {**blobs, "oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": _json(index)}


def artifact(archive: bytes, notes: Mapping[str, str]) -> Artifact:
    """Return the artifact of a tar archive; the same archive and annotations make the same digest."""
    layer = gzip.compress(archive, mtime=0)
    # As Flux writes it: what is empty is said. The layer is named as a whole, before it is compressed.
    config = _json(
        {"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": [_digest(archive)]}}
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _descriptor(_CONFIG, config),
        "layers": [_descriptor(_CONTENT, layer)],
        "annotations": dict(sorted(notes.items())),
    }
    return Artifact(_json(manifest), config, layer)


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


def annotations(address: str, commit: str, created: str) -> dict[str, str]:
    """Return what Flux shows of where an artifact comes from; a source or a commit that is not known is left out.

    The revision has no branch: the same commit makes the same digest, whatever is checked out.
    """
    algorithm = "sha1" if len(commit) == 40 else "sha256"
    said = {"created": created, "source": address, "revision": f"{algorithm}:{commit}" if commit else ""}
    return {f"org.opencontainers.image.{name}": value for name, value in said.items() if value}


def stored(index: bytes) -> str:
    """Return the digest of what cosign has saved, "" for what is no artifact, such as a list of images."""
    entries = json.loads(index)["manifests"]
    return next((str(one["digest"]) for one in entries if one.get("annotations") == _IMAGE), "")


def same(manifest: bytes, made: Artifact) -> bool:
    """Whether another artifact has the same files: its configuration names them before they are compressed.

    Who pushed it may have done so from another clone, with another zlib.
    """
    return registry.config_digest(manifest.decode(errors="replace")) == _digest(made.config)


# The registry


def load(directory: str, reference: str, trust: Trust, env: Mapping[str, str | Secret]) -> Command:
    """Return the command that pushes a layout under a tag; what the registry has of it is not sent again."""
    return Command((signing.PROGRAM, "load", "--dir", directory, *trust.flags(), reference), env=env, timeout=_SECONDS)


def save(reference: str, directory: str, trust: Trust, env: Mapping[str, str | Secret]) -> Command:
    """Return the command that gets what a registry has under a tag, as a layout."""
    return Command((signing.PROGRAM, "save", "--dir", directory, *trust.flags(), reference), env=env, timeout=_SECONDS)


def resolve(reference: str, trust: Trust, env: Mapping[str, str | Secret]) -> Command:
    """Return the command that asks which digest a tag stands for."""
    words = (signing.PROGRAM, "triangulate", "--type=digest", *trust.flags(), reference)
    return Command(words, env=env, timeout=_SECONDS)


def resolved(output: str) -> str:
    """Return the digest that cosign has printed, "" for none."""
    found = _DIGEST.search(output)
    return found[1] if found else ""


def fault(name: str, exit_code: int, errors: str) -> registry.RegistryFault | None:
    """Return why a registry did not answer; None when it did, also that there is no such artifact."""
    return None if exit_code == 0 or _ABSENT.search(errors.lower()) else signing.fault(errors, name)


def refused(name: str, exit_code: int, errors: str) -> registry.RegistryFault | None:
    """Return why a registry did not take an artifact, None when it did."""
    return None if exit_code == 0 else signing.fault(errors, name)


def other_content(reference: str) -> RefusedError:
    """Return the error for a version that the registry has with other content."""
    return RefusedError(
        f"{reference}: the registry has this version with other content; an exact version keeps its content",
        "commit what has changed, or export from the commit that it was made of",
    )


def cosign_missing() -> RefusedError:
    """Return the error for cosign that is not installed; it is needed without a key too."""
    return RefusedError("cosign: command not found, and it pushes the artifact", "./inv setup --all installs it")
