"""Certificates that are made expired ones: which files have one, and what stands in its place.

That they are mounted over those of a container, and taken away again, is proven on an engine (tests/e2e/test_chaos.py).
"""

import importlib
import os
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from support import ROOT

_NAMES = "DNS:shop.test, DNS:www.shop.test"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The part of the program that is about certificates, with a directory of the test."""
    monkeypatch.syspath_prepend(str(ROOT / "docker_project" / "chaos" / "helper"))
    module = importlib.import_module("certificate_fault")
    own = tmp_path / "expired"
    own.mkdir()
    monkeypatch.setattr(module, "OWN", own)
    return module


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate of two names, and its private key."""
    directory = tmp_path_factory.mktemp("pair")
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj", "/CN=shop.test"]
    files = ["-addext", f"subjectAltName={_NAMES}", "-keyout", directory / "key", "-out", directory / "certificate"]
    subprocess.run(["openssl", *words, *files], check=True, capture_output=True, timeout=60)
    return (directory / "certificate").read_text(), (directory / "key").read_text()


def test_files_with_certificates_and_keys_are_found_once_and_no_others(
    program: ModuleType, tmp_path: Path, pair: tuple[str, str]
) -> None:
    secrets = tmp_path / "secrets"
    (secrets / "a" / "b" / "c").mkdir(parents=True)
    (secrets / "web.pem").write_text(pair[0])
    (secrets / "a" / "web.key").write_text(pair[1])
    (secrets / "a" / "b" / "c" / "deep.pem").write_text(pair[0])
    (secrets / "password").write_text("correct-horse")
    (secrets / "link.pem").symlink_to("web.pem")
    (secrets / "large.pem").write_text(pair[0] + "x" * (1 << 16))
    found = program.looked_at([str(secrets), str(secrets / "web.pem")], "")
    assert sorted(found) == [str(secrets / "a" / "web.key"), str(secrets / "web.pem")]
    assert found[str(secrets / "web.pem")]["user"] == os.getuid()


def test_one_with_its_key_is_made_an_expired_one_and_the_key_beside_it_stays(
    program: ModuleType, tmp_path: Path, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_resigned", lambda certificate, key: f"expired with {key[:10]}\n")
    texts = {"/tls/web.pem": pair[0] + pair[1], "/tls/authority.pem": _another(tmp_path)}
    assert list(program.expired(texts, "")) == [("/tls/web.pem", f"expired with -----BEGIN\n{pair[1]}")]
    apart = {"/tls/web.pem": pair[0], "/tls/web.key": pair[1]}
    assert list(program.expired(apart, "/tls/web.pem")) == [("/tls/web.pem", "expired with -----BEGIN\n")]


def _another(directory: Path) -> str:
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=authority", "-keyout", directory / "other"]
    return subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60, text=True).stdout


def test_without_its_key_no_certificate_can_be_an_expired_one(program: ModuleType, pair: tuple[str, str]) -> None:
    with pytest.raises(program.FaultError, match="no certificate among the files that are mounted into it"):
        list(program.expired({"/tls/web.pem": pair[0]}, ""))
    with pytest.raises(program.FaultError, match=r"no certificate at /tls/other\.pem"):
        list(program.expired({"/tls/web.pem": pair[0], "/tls/web.key": pair[1]}, "/tls/other.pem"))


def test_a_place_with_a_space_is_read_as_the_kernel_writes_it(program: ModuleType) -> None:
    known = program.mounts(os.getpid())
    assert any(mount["at"] == "/" for mount in known)
    assert all(mount["kind"] and mount["at"].startswith("/") for mount in known)
