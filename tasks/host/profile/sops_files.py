"""Reads layers of a profile that SOPS has encrypted: sops prints them into our memory, and nothing is written."""

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from ...model.command import Command
from ...model.errors import InputError, RefusedError
from ...model.profile import sops
from ...model.profile.profile import Layer, gather
from ..runner import capture
from .settings import ENCRYPTED, LOCAL, SHARED, SUFFIX, Settings, layer_paths, read_regular_file

_SECONDS = 60.0  # that sops may take: a key in a cloud is asked for over the network


def with_encrypted(
    environment: str, layers: Sequence[Layer], encrypted: Sequence[Path], where: Settings
) -> tuple[Layer, ...]:
    """Return the layers of an environment with its encrypted files, decrypted, each before the local file of its name.

    Raises RefusedError for one that cannot be decrypted here.
    """
    env = _key(layers, where)
    opened = {path.name.removesuffix(f"{ENCRYPTED}{SUFFIX}"): _opened(path, env, where) for path in encrypted}
    plain = {layer.name: layer for layer in layers}
    found: list[Layer | None] = []
    for path in layer_paths(environment, where):
        stem = path.name.removesuffix(SUFFIX)
        if stem.endswith(LOCAL):
            found.append(opened.get(stem.removesuffix(LOCAL)))
        found.append(plain.get(where.shown(path)))
    return tuple(layer for layer in found if layer)


def _key(layers: Sequence[Layer], where: Settings) -> dict[str, str]:
    """Return the variable that tells sops where its key is, none where it looks for it by itself."""
    setting = gather(layers, os.environ, {}, (sops.KEY_FILE,)).get(sops.KEY_FILE)
    if setting is None or not setting.text:
        return {}
    # What a person exports is meant from where they are, as for sops itself.
    path = Path(setting.text) if sops.KEY_FILE in os.environ else where.root / setting.text
    if not path.is_file():
        raise RefusedError(f"{sops.KEY_FILE}: {path}: no such file ({setting.origin})", "age-keygen makes such files")
    if not os.access(path, os.R_OK):
        raise RefusedError(f"{sops.KEY_FILE}: {path}: this user may not read it", "the user that deploys has to own it")
    return {sops.KEY_FILE: str(path)}


def _opened(path: Path, env: Mapping[str, str], where: Settings) -> Layer:
    shown = where.shown(path)
    try:
        text = read_regular_file(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{shown}: cannot be read: {why}", "sops encrypts a text file of KEY=value lines") from None
    if not sops.is_encrypted(text):
        raise sops.not_encrypted(shown)
    plain = _decrypted(shown, text, tuple(env.items()))
    return Layer(shown, plain, path.name.startswith(SHARED), sops.encrypted_keys(text))


@lru_cache(maxsize=16)  # a profile that has a fault is read twice
def _decrypted(shown: str, text: bytes, env: tuple[tuple[str, str], ...]) -> bytes:
    """Return the content of an encrypted file; raises RefusedError where sops does not decrypt it."""
    words = ("sops", "--decrypt", "--input-type", "dotenv", "--output-type", "dotenv", "/dev/stdin")
    result = capture(Command(words, env=dict(env), stdin=text.decode("utf-8", "replace"), timeout=_SECONDS))
    if result.exit_code:
        raise sops.fault(shown, text, result.exit_code, result.stderr, dict(env).get(sops.KEY_FILE, ""))
    return result.stdout.encode()
