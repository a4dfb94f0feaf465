"""Bills of materials of real images, checked by independent validators."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from .advisories import Fixture
from .advisories.project import Planted, make
from .support import Checkout, docker, leftovers, remove


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, advisories: Fixture) -> Iterator[Planted]:
    """The project, built."""
    made = make(tmp_path_factory.mktemp("sbom"), "sbom")
    try:
        made.inv("build")
        yield made
    finally:
        remove(made.projects[0])
    assert leftovers(made.projects[0]) == []


def test_the_documents_of_every_image_are_valid_and_complete(shop: Planted) -> None:
    images = {image["services"][0]: image for image in shop.json("image.sbom")["images"]}

    assert {name: len(image["documents"]) for name, image in images.items()} == {"program": 2, "packages": 2, "keys": 2}
    assert images["program"]["image"] == docker("image", "inspect", "--format", "{{.Id}}", shop.image("program"))
    assert images["keys"]["packages"] > 50
    for entry in (parsed for image_ in images.values() for parsed in image_["documents"]):
        path = shop.reports / entry["file"]
        text = path.read_text()
        if entry["format"] == "spdx-json":
            parsed = parse_file(str(path))
            assert parsed.creation_info.spdx_version == "SPDX-2.3"
            assert validate_full_spdx_document(parsed) == []
        else:
            version = SchemaVersion.from_version(json.loads(text)["specVersion"])
            assert JsonStrictValidator(version).validate_str(text) is None
    listed = (shop.reports / images["program"]["documents"][1]["file"]).read_text()
    assert '"pkg:golang/golang.org/x/text@v0.3.5"' in listed
    assert '"pkg:deb/debian/liblzma5@5.2.5-2' in (shop.reports / images["packages"]["documents"][1]["file"]).read_text()


def test_the_same_image_gives_the_same_bytes(shop: Planted) -> None:
    def digests() -> dict[str, str]:
        return {
            document["file"]: document["digest"]
            for image in shop.json("image.sbom")["images"]
            for document in image["documents"]
        }

    before = digests()
    for path in (shop.reports / "sbom" / "dev").iterdir():
        path.unlink()

    assert digests() == before
    for file, digest in before.items():
        line = subprocess.run(
            ["sha256sum", str(shop.reports / file)], capture_output=True, text=True, check=True
        ).stdout
        assert digest == f"sha256:{line.split()[0]}"


def test_documents_that_are_there_are_not_made_again(shop: Planted, tmp_path: Path) -> None:
    shop.inv("image.sbom")
    (shop.reports / "sbom" / "dev" / "keys.cdx.json").write_text("{}")
    dry = shop.inv("--dry", "image.sbom").stdout

    # A document that was changed is made again, and only that.
    assert dry.count("docker image save") == 1
    assert shop.inv("image.sbom").stdout.count("sbom/dev/") == 6
    assert shop.inv("--dry", "image.sbom").stdout == ""


def test_a_tool_that_writes_garbage_makes_no_document(shop: Planted, tmp_path: Path) -> None:
    fake = tmp_path / "trivy"
    fake.write_text('#!/bin/sh\nfor last; do :; done\necho garbage >"$last"\n')
    fake.chmod(0o755)

    result = shop.inv("image.sbom", code=5, SCAN_TOOLS=str(tmp_path))

    assert f"{shop.image('keys')}: trivy wrote no valid spdx-json document" in result.stderr
    assert shop.temporary == []


def test_an_image_that_is_not_there_is_one_line(shop: Planted) -> None:
    docker("image", "tag", shop.image("keys"), f"{shop.projects[0]}/kept:1")
    docker("image", "rm", shop.image("keys"))
    try:
        result = shop.inv("image.sbom", code=3)
    finally:
        docker("image", "tag", f"{shop.projects[0]}/kept:1", shop.image("keys"))

    assert result.stderr == f"not on the engine: {shop.image('keys')}\n  hint: inv build --env dev\n"


def test_a_release_records_the_documents_of_exactly_its_images(small: Callable[..., Checkout], tmp_path: Path) -> None:
    compose = "services:\n  web: {image: 'small/NAME:1', build: ., command: [sleep, infinity], init: true}\n"
    shop = small(compose, "FROM IMAGE\nCOPY note /note\n")
    (shop.project_dir / "compose.yaml").write_text(compose.replace("NAME", shop.projects[0]))
    reports = {"SLIPWAY_REPORTS_DIR": str(tmp_path / "reports")}

    def recorded(release: int) -> dict[str, str]:
        label = '{{index .Config.Labels "slipway.release.document"}}'
        name = f"{shop.projects[0]}-release:{release}"
        evidence: dict[str, str] = json.loads(docker("inspect", "--format", label, name))["evidence"]
        return evidence

    (shop.project_dir / "note").write_text("one")
    shop.inv("build", **reports)
    made = shop.json("image.sbom", **reports)["images"][0]["documents"]
    shop.inv("deploy.dev", **reports)
    (shop.project_dir / "note").write_text("two")
    shop.inv("deploy.dev", **reports)

    assert recorded(1) == {f"sbom {Path(document['file']).name}": document["digest"] for document in made}
    assert recorded(2) == {}  # the documents are about the image before
