"""Stand-ins for base images: which are built, and that those of the monitoring replace what its Dockerfile names."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from support import ROOT, profile, stack

from tasks.build import stand_ins
from tasks.build.plan.dockerfile import parse
from tasks.model.engine.facts import Image
from tasks.model.errors import RefusedError

DOCKERFILE = "FROM base/debian:1 AS metrics\nFROM base/golang:1 AS traces\n"


def project(*present: str, bases: str = "local") -> Any:
    """Return a project whose engine has these images."""
    images = {name: Image(f"sha256:{name}", (name,)) for name in present}
    return SimpleNamespace(profile=profile(BASE_IMAGES=bases), engine=SimpleNamespace(image=images.get), cwd="/")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The directory of a Compose file of the monitoring, with stand-ins beside it."""
    for name in ("monitoring", "airgap"):
        (tmp_path / name).mkdir()
    (tmp_path / "airgap" / "docker-compose.monitoring-bases.yml").touch()
    (tmp_path / "airgap" / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path / "monitoring"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[str]:
    """The stand-ins that were built."""
    built: list[str] = []
    context = str(folder.parent / "airgap")
    services = {
        name: {"image": f"base/{name}:1", "build": {"context": context, "dockerfile": "Dockerfile", "target": name}}
        for name in ("metrics", "traces")
    }
    monkeypatch.setattr(stand_ins, "stack", lambda *_: stack(services))
    monkeypatch.setattr(stand_ins, "sources", SimpleNamespace(inputs=inputs))
    monkeypatch.setattr(stand_ins, "make", lambda _project, _stack, names: built.extend(names))
    return built


def inputs(services: Any, _engine: object) -> dict[str, Any]:
    """Return the inputs of services, without reading their contexts."""
    return {service.name: SimpleNamespace(dockerfile=parse(DOCKERFILE, {})) for service in services}


def test_missing_stand_ins_are_built_and_put_in_place(folder: Path, made: list[str]) -> None:
    engine = project("base/debian:1", "base/golang:1", "base/metrics:1")

    overrides = stand_ins.provide(engine, folder)
    assert (made, overrides) == (["traces"], (str(folder.parent / "airgap" / "docker-compose.monitoring.yml"),))


def test_only_what_services_need_is_built(folder: Path, made: list[str]) -> None:
    stand_ins.provide(project("base/debian:1", "base/golang:1"), folder, ["metrics", "engine-proxy"])
    assert made == ["metrics"]


def test_nothing_is_built_where_a_registry_is_reached(folder: Path, made: list[str]) -> None:
    assert (stand_ins.provide(project(bases="registry"), folder), made) == ((), [])


def test_a_project_with_a_monitoring_of_its_own_needs_no_stand_ins(tmp_path: Path, made: list[str]) -> None:
    assert (stand_ins.provide(project(), tmp_path / "elsewhere" / "monitoring"), made) == ((), [])


def test_without_what_they_are_made_from_nothing_is_built(folder: Path, made: list[str]) -> None:
    with pytest.raises(RefusedError) as refused:
        stand_ins.provide(project("base/debian:1"), folder)

    assert (refused.value.message.partition(": ")[2], refused.value.hint) == ("base/golang:1", "inv image.bases")
    assert made == []


def test_every_image_of_the_monitoring_has_its_stand_in() -> None:
    airgap, monitoring = ROOT / "docker_project" / "airgap", ROOT / "docker_project" / "monitoring"
    dockerfile = parse((monitoring / "Dockerfile").read_text(), {})
    override = yaml.safe_load((airgap / "docker-compose.monitoring.yml").read_text())["services"]
    bases = yaml.safe_load((airgap / "docker-compose.monitoring-bases.yml").read_text())["services"]
    common = yaml.safe_load((airgap / "docker-compose.bases.yml").read_text())["services"]
    made = {service["image"] for service in (*bases.values(), *common.values())}
    services = yaml.safe_load((monitoring / "docker-compose.monitoring.yml").read_text())["services"]

    for name in services.keys() - {"grafana"}:
        mapped = override[name]["build"]["additional_contexts"]
        assert set(mapped) == set(dockerfile.images(name)) - {"generated"}, name
        assert {image.removeprefix("docker-image://") for image in mapped.values()} <= made, name
    assert set(override) == services.keys() - {"grafana"}
    assert set(bases) <= set(override)
