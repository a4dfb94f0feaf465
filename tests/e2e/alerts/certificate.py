"""Certificates that end when a test wants it, also before they are made: `openssl req` makes none of these."""

import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

_AUTHORITY = """[ca]
default_ca = own
[own]
database = index
new_certs_dir = .
default_md = sha256
policy = names
rand_serial = yes
[names]
commonName = supplied
"""


def signed(key: Path, days: int) -> str:
    """Return a certificate of a key, signed by itself, that ends so many days from now."""
    with tempfile.TemporaryDirectory() as directory:

        def openssl(*words: str) -> None:
            subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=directory, timeout=60, text=True)

        Path(directory, "authority").write_text(_AUTHORITY)
        Path(directory, "index").touch()
        openssl("req", "-new", "-key", str(key), "-subj", "/CN=localhost", "-out", "request")
        end = datetime.now(UTC) + timedelta(days=days)
        times = ("-startdate", f"{end - timedelta(days=400):%Y%m%d%H%M%SZ}", "-enddate", f"{end:%Y%m%d%H%M%SZ}")
        how = ("-config", "authority", "-keyfile", str(key), "-in", "request", "-out", "certificate")
        openssl("ca", "-selfsign", "-batch", "-notext", *how, *times)
        return Path(directory, "certificate").read_text()
