"""The build context that is made from a stack."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import profile, stack

from tasks.model.errors import RefusedError
from tasks.monitor import generated
from tasks.monitor.plan.targets import watched


def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shop = stack({"web": {}})
    return SimpleNamespace(stack=shop, profile=profile(), seen=watched(shop, {}))


def test_the_context_has_what_the_images_are_made_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = project(tmp_path, monkeypatch)
    where = generated.write(shop, shop.seen, {})

    assert where == tmp_path / "slipway" / "monitoring" / "shop"
    assert json.loads((where / "targets.json").read_text())["services"] == {"web": {"replicas": 1}}
    assert json.loads((where / "prometheus" / "exporters.json").read_text()) == []
    assert json.loads((where / "prometheus" / "blackbox.json").read_text()) == []


def test_rules_made_for_the_stack_are_where_prometheus_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = project(tmp_path, monkeypatch)
    where = generated.write(shop, shop.seen, {"objectives.yml": "groups: []\n"})
    assert (where / "prometheus" / "objectives.yml").read_text() == "groups: []\n"


def test_written_again_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = project(tmp_path, monkeypatch)
    where = generated.write(shop, shop.seen, {})
    before = {path: path.stat().st_mtime_ns for path in where.rglob("*")}
    generated.write(shop, shop.seen, {})

    assert {path: path.stat().st_mtime_ns for path in where.rglob("*")} == before


def test_rules_of_a_service_that_is_gone_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = project(tmp_path, monkeypatch)
    where = generated.write(shop, shop.seen, {})
    (where / "prometheus" / "old.yml").write_text("groups: []\n")
    (where / "other").mkdir()
    (where / "other" / "file").write_text("x")
    generated.write(shop, shop.seen, {})

    assert sorted(str(path.relative_to(where)) for path in where.rglob("*") if path.is_file()) == [
        "prometheus/blackbox.json",
        "prometheus/exporters.json",
        "targets.json",
    ]
    assert not (where / "other").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = project(tmp_path, monkeypatch)
    (tmp_path / "slipway").write_text("in the way")
    with pytest.raises(RefusedError, match="the configuration of the monitoring is written there"):
        generated.write(shop, shop.seen, {})
