"""The Docker SDK's client, bounded in time; loaded when something is changed or streamed, or the engine is remote."""

from collections.abc import Callable, Mapping
from typing import Any

import docker
from docker.utils import kwargs_from_env


class Client(docker.APIClient):
    """The SDK's client, for which REQUESTS_CA_BUNDLE does not replace the engine's own authority.

    https://github.com/psf/requests/issues/3829

    ``limit`` returns how long an answer, or the next part of it, may take, in seconds. It holds for the stream of
    events as well, for which the SDK itself would wait for ever.
    """

    def __init__(self, limit: Callable[[], float], **options: Any) -> None:
        self._limit = limit
        super().__init__(version="auto", **options)

    def _get(self, url: str, **options: Any) -> Any:
        return super()._get(url, **{**options, "timeout": self._limit()})  # type: ignore[misc]

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Return the settings of a request, with the client's own authority unless the request names one."""
        chosen = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, chosen, cert)


def tls_options(environment: Mapping[str, str], tls: Any) -> dict[str, Any]:
    """Return the client's options for TLS: those of DOCKER_TLS_VERIFY where DOCKER_HOST is set, else a context's."""
    if environment.get("DOCKER_HOST"):
        return dict(kwargs_from_env(environment=environment))
    return {"tls": tls} if tls else {}
