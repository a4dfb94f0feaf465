"""How much an image is to download."""

import json

import pytest

from tasks.image.plan.downloads import download, platform

IMAGE = json.dumps({"config": {"digest": "sha256:c", "size": 9}, "layers": [{"size": 40}, {"size": 2}]})
LIST = json.dumps(
    {
        "manifests": [
            {"digest": "sha256:arm", "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
            {"digest": "sha256:amd", "platform": {"os": "linux", "architecture": "amd64"}},
            {"digest": "sha256:proof", "platform": {"os": "unknown", "architecture": "unknown"}},
        ]
    }
)


@pytest.mark.parametrize(
    ("manifest", "wanted", "found"),
    [
        (IMAGE, "linux/amd64", (42, "")),
        (LIST, "linux/amd64", (0, "sha256:amd")),
        (LIST, "linux/arm64", (0, "sha256:arm")),
        (LIST, "linux/s390x", (0, "")),
        ("no such manifest", "linux/amd64", (0, "")),
        ("[]", "linux/amd64", (0, "")),
        ('{"layers": [{}]}', "linux/amd64", (0, "")),
    ],
)
def test_the_compressed_layers_count(manifest: str, wanted: str, found: tuple[int, str]) -> None:
    assert download(manifest, wanted) == found


def test_the_platform_is_called_as_manifests_call_it() -> None:
    assert platform({"OSType": "linux", "Architecture": "x86_64"}) == "linux/amd64"
    assert platform({"OSType": "linux", "Architecture": "aarch64"}) == "linux/arm64"
    assert platform({"OSType": "linux", "Architecture": "riscv64"}) == "linux/riscv64"
