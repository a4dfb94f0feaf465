"""The contexts of the ``docker`` command: which engine a name stands for.

They are read as ``docker`` reads them (docker/cli, ``cli/context/store``): they are there without a ``config.json``,
which the SDK takes for the mark of the directory.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from ...model.errors import RefusedError

_ENDPOINT = "docker"


def endpoint(name: str, directory: Path) -> tuple[str, Any]:
    """Return the address ("" for the default one) and the TLS settings (None without) of a context's engine.

    ``directory`` is that of the configuration of ``docker``. Raises RefusedError when there is no such context, or when
    its description cannot be read.
    """
    place, key = directory / "contexts", hashlib.sha256(name.encode()).hexdigest()
    file = place / "meta" / key / "meta.json"
    try:
        described = json.loads(file.read_bytes())["Endpoints"][_ENDPOINT]
        host, unchecked = str(described.get("Host") or ""), bool(described.get("SkipTLSVerify"))
    except FileNotFoundError:
        raise RefusedError(f"docker context {name!r} does not exist", "list them: docker context ls") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise RefusedError(
            f"docker context {name!r}: {file} cannot be read", f"make it again: docker context rm {name}"
        ) from None
    return host, _tls(place / "tls" / key / _ENDPOINT, unchecked)


def _tls(directory: Path, unchecked: bool) -> Any:
    authority, certificate, key = (directory / f"{name}.pem" for name in ("ca", "cert", "key"))
    client = (str(certificate), str(key)) if certificate.is_file() and key.is_file() else None
    if not (client or authority.is_file() or unchecked):
        return None
    from docker.tls import TLSConfig

    ca = str(authority) if authority.is_file() else None
    return TLSConfig(client_cert=client, ca_cert=ca, verify=not unchecked)
