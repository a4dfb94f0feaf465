"""The secrets of the monitoring: in volumes of the engine, which has them wherever it is; in no image and no label."""

import io
import json
import secrets
import tarfile
from collections.abc import Mapping
from pathlib import Path

from ..host.engine.container_files import VolumeFiles
from ..host.project import Project
from ..host.runner import capture
from ..model.compose import compose
from ..model.engine.facts import MONITORS_LABEL
from ..model.errors import InputError
from ..model.stack.presets.redis import password_command
from ..model.stack.stack import Stack
from .plan.composition import GRAFANA_PASSWORD, WEBHOOK, SecretVolume
from .plan.exporters import Exporter
from .plan.users import DATABASE_PASSWORD, MYSQL_CLIENT, REDIS_PASSWORDS, mysql_client_file, password_in

_GENERATED = (DATABASE_PASSWORD, MYSQL_CLIENT, GRAFANA_PASSWORD)


class SecretFiles:
    """The volumes with the secrets of a monitoring; ``passwords`` are those of exporters, by the exporter's name."""

    def __init__(self, project: Project, monitoring: Stack, volumes: tuple[SecretVolume, ...]) -> None:
        self._project, self._monitoring, self._volumes = project, monitoring, volumes
        self.passwords: dict[str, str] = {}
        self._wanted: dict[str, dict[str, str]] = {}
        self._kept: dict[str, dict[str, str]] = {}

    def prepare(self, exporters: Mapping[str, Exporter], stack: Stack, url: str) -> None:
        """Find out what each volume is to have: what it has stays, a password that is missing is made up.

        ``url`` is where alerts are sent, "" for nowhere.
        """
        for volume in self._volumes:
            kept = self._kept[volume.service] = self._read(volume)
            wanted = self._wanted[volume.service] = {}
            for file, name in volume.files.items():
                wanted[file] = self._content(name, kept.get(file, ""), exporters.get(volume.service), stack, url)
                if name in (DATABASE_PASSWORD, MYSQL_CLIENT):
                    self.passwords[volume.service] = password_in(name, wanted[file])

    def write(self) -> tuple[str, ...]:
        """Write what has changed; return the services whose secrets are others than before."""
        changed = []
        for volume in self._volumes:
            if self._wanted[volume.service] != self._kept[volume.service]:
                files = self._files(volume)
                files.make(self._name(volume))
                files.put(self._name(volume), _archive(self._wanted[volume.service]))
                changed += [volume.service] if self._kept[volume.service] else []
        return tuple(changed)

    def _content(self, name: str, kept: str, exporter: Exporter | None, stack: Stack, url: str) -> str:
        if name == WEBHOOK:
            return f"{url}\n" if url else ""
        if name == REDIS_PASSWORDS:
            passwords = {exporter.variables["REDIS_ADDRESS"]: self._of_redis(exporter, stack)} if exporter else {}
            return json.dumps({address: password for address, password in passwords.items() if password})
        if name not in _GENERATED:
            raise InputError(
                f"the Compose file of the monitoring has a secret {name!r} that nothing makes",
                f"there are: {', '.join((WEBHOOK, REDIS_PASSWORDS, *_GENERATED))}",
            )
        password = password_in(name, kept) or secrets.token_urlsafe(32)
        return mysql_client_file(password) if name == MYSQL_CLIENT else password

    def _of_redis(self, exporter: Exporter, stack: Stack) -> str:
        """Return the password of a Redis server, as its container has it; "" when it has none or does not run."""
        words = password_command(stack.service(exporter.service).slipway.client)
        command = compose(self._project.profile, *("exec", "--no-TTY", exporter.service, *words), cwd=self._project.cwd)
        done = capture(command) if words else None
        return done.stdout.strip() if done and done.exit_code == 0 else ""

    def _read(self, volume: SecretVolume) -> dict[str, str]:
        contents = self._files(volume).contents(self._name(volume))
        return {name: content.decode(errors="replace") for name, content in contents.items()}

    def _files(self, volume: SecretVolume) -> VolumeFiles:
        image = self._monitoring.service(volume.service).image
        return VolumeFiles(self._project.engine, image, {MONITORS_LABEL: self._project.stack.project})

    def _name(self, volume: SecretVolume) -> str:
        return f"{self._monitoring.project}_{volume.name}"


def alert_address(project: Project) -> str:
    """Return where alerts are sent: ALERT_WEBHOOK, else the file ``alert_webhook`` in SECRETS_DIR; "" for nowhere."""
    if said := project.profile.text("ALERT_WEBHOOK"):
        return said
    directory = project.profile.text("SECRETS_DIR")
    file = Path(project.cwd, directory, WEBHOOK)
    return file.read_text(encoding="utf-8").strip() if directory and file.is_file() else ""


def _archive(files: Mapping[str, str]) -> bytes:
    """Return the files as an archive; everybody may read them in the one container that has the volume."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o444
            tar.addfile(entry, io.BytesIO(text.encode()))
    return archive.getvalue()
