"""The hardening report on a real engine: planted faults are found, and fixed."""

from collections.abc import Callable

from .support import Checkout, docker

OPEN = """
services:
  web:
    image: IMAGE
    command: [sleep, infinity]
    init: true
    user: "0"
    cap_add: [SYS_ADMIN]
    pid: host
    security_opt: ["seccomp:unconfined"]
    volumes: ["/var/run/docker.sock:/var/run/docker.sock", "/etc:/host:ro"]
    ports: ["8080"]
"""
CLOSED = """
services:
  web:
    image: IMAGE
    command: [sleep, infinity]
    init: true
    user: "65532"
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    read_only: true
    mem_limit: 64m
    cpus: 1
    pids_limit: 20
    ports: ["127.0.0.1::8080"]
    healthcheck: {test: ["CMD", "true"], interval: 1s}
"""


def test_planted_faults_close_the_gate_and_their_repair_opens_it(small: Callable[..., Checkout]) -> None:
    shop = small(OPEN)
    assert "is running" in shop.inv("scan.hardening", code=3).stderr

    shop.inv("deploy.dev")
    report = shop.json("scan.hardening", code=5)
    assert report["outcome"] == "failed"
    severities = {finding["id"]: finding["severity"] for finding in report["findings"]}
    planted = {"CIS-4.1", "CIS-5.4", "CIS-5.6", "CIS-5.14", "CIS-5.16", "CIS-5.22", "CIS-5.32"}
    assert planted <= set(severities)
    assert severities["CIS-5.32"] == "critical"
    table = shop.inv("scan.hardening", code=5)
    assert "remove the mount /var/run/docker.sock:/var/run/docker.sock" in table.stdout
    assert "web CIS-5.32" in table.stderr

    (shop.project_dir / "compose.yaml").write_text(CLOSED.replace("IMAGE", _image(shop)))
    shop.inv("deploy.dev")
    report = shop.json("scan.hardening")
    assert (report["outcome"], report["findings"]) == ("passed", [])


def _image(shop: Checkout) -> str:
    return docker("inspect", "--format", "{{.Config.Image}}", f"{shop.projects[0]}-web-1")
