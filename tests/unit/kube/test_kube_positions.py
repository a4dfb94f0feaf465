"""Where keys were written: in which file, and in which line."""

from pathlib import Path

from tasks.host.profile.settings import settings_in
from tasks.kube.sources.positions import positions

BASE = """\
x-hardened: &hardened
  read_only: true
  cap_drop: [ALL]

services:
  web:
    <<: *hardened
    image: web:1
    environment:
      - LOG_LEVEL=info
      - discovery.type=single-node
    cap_drop: [NET_RAW]
  worker:
    extends: {file: common.yml, service: background}
    command: [work]
"""


def placed(tmp_path: Path, *names: str, **files: str) -> dict[str, str]:
    for name, text in files.items():
        (tmp_path / f"{name}.yml").write_text(text)
    found = positions(names, settings_in(tmp_path, {"project_dir": "."}))
    return {key: str(place) for key, place in found.items()}


def test_a_key_has_the_line_that_it_is_written_in(tmp_path: Path) -> None:
    found = placed(tmp_path, "base.yml", base=BASE, common="services: {background: {image: w}}\n")
    assert found["services.web.image"] == "base.yml:8"
    assert found["services.web"] == "base.yml:6"


def test_what_an_anchor_brings_has_the_line_of_the_anchor(tmp_path: Path) -> None:
    found = placed(tmp_path, "base.yml", base=BASE, common="services: {background: {image: w}}\n")
    assert found["services.web.read_only"] == "base.yml:2"


def test_a_key_wins_over_that_of_its_anchor(tmp_path: Path) -> None:
    found = placed(tmp_path, "base.yml", base=BASE, common="services: {background: {image: w}}\n")
    assert found["services.web.cap_drop"] == "base.yml:12"


def test_a_variable_in_a_list_goes_by_its_name_even_with_a_dot(tmp_path: Path) -> None:
    found = placed(tmp_path, "base.yml", base=BASE, common="services: {background: {image: w}}\n")
    assert found["services.web.environment.LOG_LEVEL"] == "base.yml:10"
    assert found["services.web.environment.discovery.type"] == "base.yml:11"


def test_an_overlay_wins_for_the_keys_that_it_has(tmp_path: Path) -> None:
    overlay = "services:\n  web:\n    image: web:2\n"
    files = {"base": BASE, "prod": overlay, "common": "services: {background: {image: w}}\n"}
    found = placed(tmp_path, "base.yml", "prod.yml", **files)
    assert found["services.web.image"] == "prod.yml:3"
    assert found["services.web.environment"] == "base.yml:9"


def test_a_service_that_extends_another_has_the_positions_of_both(tmp_path: Path) -> None:
    common = "services:\n  background:\n    image: work:1\n    command: [idle]\n"
    found = placed(tmp_path, "base.yml", base=BASE, common=common)
    assert found["services.worker.image"] == "common.yml:3"
    assert found["services.worker.command"] == "base.yml:15"


def test_an_included_file_lies_under_the_one_that_includes_it(tmp_path: Path) -> None:
    files = {"base": "include: [part.yml]\nservices:\n  web: {image: a}\n", "part": "services:\n  db:\n    image: b\n"}
    found = placed(tmp_path, "base.yml", **files)
    assert (found["services.db.image"], found["services.web.image"]) == ("part.yml:3", "base.yml:3")


def test_services_that_extend_each_other_come_to_an_end(tmp_path: Path) -> None:
    text = "services:\n  a: {extends: b, image: x}\n  b: {extends: {service: a}, user: '1'}\n"
    assert placed(tmp_path, "base.yml", base=text)["services.a.user"] == "base.yml:3"


def test_an_anchor_inside_of_itself_comes_to_an_end(tmp_path: Path) -> None:
    found = placed(tmp_path, "base.yml", base="x-a: &a\n  b: *a\nservices: {}\n")
    assert found["x-a.b"] == "base.yml:2"


def test_a_file_that_is_no_yaml_has_no_positions(tmp_path: Path) -> None:
    assert placed(tmp_path, "base.yml", base="a: [\n") == {}
