"""Bills of materials: the same bytes for the same image, and the digests that a release records."""

import copy
import json
from typing import Any

import pytest

from tasks.model.errors import CheckError
from tasks.scan.plan.images import Subject
from tasks.scan.plan.sbom import CYCLONEDX, SPDX, Bill, Document, bills, digests, file_name, index, reproducible, rows

WEB = Subject("shop/web:1", "sha256:a", ("web", "worker"))
CREATED = "2026-05-06T07:08:09.123456789Z"
UUIDS = [f"{digit * 8}-{digit * 4}-4{digit * 3}-8{digit * 3}-{digit * 12}" for digit in "abc"]
PURL = "pkg:golang/golang.org/x/text@v0.3.5"


def cyclonedx(*uuids: str) -> dict[str, Any]:
    """Return a document as trivy writes it, with its random identities."""
    whole, program, system = uuids
    parts = [
        {"bom-ref": program, "type": "application", "name": "program"},
        {"bom-ref": system, "type": "operating-system", "name": "debian"},
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": f"urn:uuid:{whole}",
        "metadata": {
            "timestamp": f"2026-05-20T00:00:0{uuids[0][0] == 'a':d}+00:00",
            "component": {"bom-ref": whole, "type": "container", "name": "image.tar"},
        },
        "components": [
            *sorted(parts, key=lambda part: part["bom-ref"]),
            {"bom-ref": PURL, "type": "library", "name": "text"},
        ],
        "dependencies": [
            {"ref": whole, "dependsOn": sorted([program, system])},
            {"ref": program, "dependsOn": [PURL]},
            {"ref": system},
        ],
    }


def spdx(time: str, space: str) -> dict[str, Any]:
    """Return a document as trivy writes it, with its time and its random name."""
    note = {"annotationDate": time, "comment": "x"}
    return {
        "spdxVersion": "SPDX-2.3",
        "name": "image.tar",
        "documentNamespace": f"http://trivy.dev/container_image/image.tar-{space}",
        "creationInfo": {"creators": ["Tool: trivy-0.76.0"], "created": time},
        "packages": [
            {"name": "image.tar", "primaryPackagePurpose": "CONTAINER", "annotations": [note]},
            {"name": "text", "primaryPackagePurpose": "LIBRARY"},
        ],
    }


def test_two_runs_write_the_same_cyclonedx_document() -> None:
    first, packages = reproducible(CYCLONEDX, json.dumps(cyclonedx(*UUIDS)).encode(), WEB, CREATED)
    second, _ = reproducible(CYCLONEDX, json.dumps(cyclonedx(*reversed(UUIDS))).encode(), WEB, CREATED)

    assert first == second
    assert packages == 1
    document = json.loads(first)
    assert document["metadata"]["timestamp"] == "2026-05-06T07:08:09Z"
    assert document["metadata"]["component"]["name"] == "shop/web:1"
    assert document["metadata"]["component"]["version"] == "sha256:a"


def test_dependencies_still_refer_to_their_components() -> None:
    document = json.loads(reproducible(CYCLONEDX, json.dumps(cyclonedx(*UUIDS)).encode(), WEB, CREATED)[0])
    names = {
        component["bom-ref"]: component["name"]
        for component in (document["metadata"]["component"], *document["components"])
    }
    links = {names[link["ref"]]: {names[ref] for ref in link["dependsOn"]} for link in document["dependencies"]}

    assert links == {"shop/web:1": {"program", "debian"}, "program": {"text"}, "debian": set()}


def test_equal_components_have_different_identities() -> None:
    document = cyclonedx(*UUIDS)
    twin = copy.deepcopy(document["components"][0])
    twin["bom-ref"] = UUIDS[0].replace("a", "d")
    document["components"].append(twin)

    result = json.loads(reproducible(CYCLONEDX, json.dumps(document).encode(), WEB, CREATED)[0])

    assert len({component["bom-ref"] for component in result["components"]}) == 4


def test_two_runs_write_the_same_spdx_document() -> None:
    first, packages = reproducible(SPDX, json.dumps(spdx("2026-05-20T00:00:00Z", "a")).encode(), WEB, CREATED)
    second, _ = reproducible(SPDX, json.dumps(spdx("2026-05-21T00:00:00Z", "b")).encode(), WEB, CREATED)

    assert first == second
    assert packages == 1
    document = json.loads(first)
    assert (document["name"], document["packages"][0]["versionInfo"]) == ("shop/web:1", "sha256:a")
    assert document["creationInfo"]["created"] == document["packages"][0]["annotations"][0]["annotationDate"]


def test_another_image_has_another_name_space() -> None:
    data = json.dumps(spdx("2026-05-20T00:00:00Z", "a")).encode()
    other = Subject("shop/web:1", "sha256:b", ("web",))
    spaces = {
        json.loads(reproducible(SPDX, data, subject, CREATED)[0])["documentNamespace"] for subject in (WEB, other)
    }

    assert len(spaces) == 2
    assert all(space.startswith("urn:uuid:") for space in spaces)


@pytest.mark.parametrize("created", ["", "0001-01-01T00:00:00Z", "soon"])
def test_an_image_without_a_time_gets_the_epoch(created: str) -> None:
    document = json.loads(reproducible(SPDX, json.dumps(spdx("x", "a")).encode(), WEB, created)[0])

    assert document["creationInfo"]["created"] == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize("kind", [SPDX, CYCLONEDX])
@pytest.mark.parametrize("data", [b"", b"garbage", b"[]", b"{}", b'{"spdxVersion": "SPDX-3.0", "bomFormat": "x"}'])
def test_an_invalid_document_is_refused(kind: str, data: bytes) -> None:
    with pytest.raises(CheckError, match="shop/web:1: trivy wrote no valid"):
        reproducible(kind, data, WEB, CREATED)


def bill(image: str = "sha256:a", service: str = "web") -> Bill:
    """Return what was written about an image."""
    documents = tuple(Document(kind, f"sbom/dev/{service}.{kind}", f"sha256:{kind}") for kind in (SPDX, CYCLONEDX))
    return Bill((service,), "shop/web:1", image, 3, "trivy", documents)


def test_an_index_is_read_again() -> None:
    document = json.loads(json.dumps(index("dev", [bill()])))

    assert bills(document) == (bill(),)
    assert bills(None) == bills({}) == bills({**document, "images": [1]}) == ()


def test_digests_are_returned_only_when_every_image_has_documents() -> None:
    both = (bill(), bill("sha256:b", "db"))

    assert digests(both, ["sha256:a"]) == {"web.spdx-json": "sha256:spdx-json", "web.cyclonedx": "sha256:cyclonedx"}
    assert len(digests(both, ["sha256:a", "sha256:b", "sha256:a"])) == 4
    assert digests(both, ["sha256:a", "sha256:c"]) == {}
    assert digests(both, []) == {}


def test_every_document_has_a_line_and_a_name() -> None:
    assert len(rows([bill()])) == 2
    assert file_name(WEB, SPDX) == "web.spdx.json"
    assert file_name(WEB, CYCLONEDX) == "web.cdx.json"
