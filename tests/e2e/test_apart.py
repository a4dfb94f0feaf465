"""Throw-away stacks and `clean`: nothing is removed that runs, is of another machine, or of another project."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.host import processes

from .support import Checkout, copies, docker, until

Small = Callable[..., Checkout]
REPORT = '<testsuite name="p"><testcase name="TestOne"/></testsuite>'
CHECKS = """
  checks:
    profiles: [test]
    image: IMAGE
    entrypoint: [sh, -c, "WORK; cp /passed.xml /reports/junit.xml"]
    configs: [{source: passed, target: /passed.xml}]
    x-slipway: {job: test}
configs:
  passed: {file: ./passed.xml}
"""
LIVE = """
services:
  store:
    image: IMAGE
    user: "0"
    container_name: CONTAINER
    entrypoint: [sh, -c, "for i in /data /named /placed /outside; do echo opened >>$$i/starts; done; exec sleep 600"]
    stop_grace_period: 1s
    labels: {proxy.enable: "true"}
    volumes: ["./data:/data", "named:/named", "placed:/placed", "outside:/outside", "./settings:/settings"]
    networks: {back: {ipv4_address: SUBNET.3}, outside: {}}
CHECKSnetworks:
  back: {name: NAME_back, ipam: {config: [{subnet: SUBNET.0/29, gateway: SUBNET.1}]}}
  outside: {external: true, name: NAME-outside}
volumes:
  named: {name: NAME_named}
  placed: {driver_opts: {type: none, o: bind, device: DIRECTORY/placed}}
  outside: {external: true, name: NAME-outside}
"""
SHARING = """
services:
  agent: {image: IMAGE, network_mode: host, pid: host, devices: ["/dev/mem:/dev/mem"], command: [sleep, "9"]}
  watch: {image: IMAGE, volumes: ["/var/run/docker.sock:/sock:ro", "./rows.db:/rows.db"], command: [sleep, "9"]}
CHECKS"""


def compose(text: str, work: str = "true") -> str:
    return text.replace("CHECKS", CHECKS.lstrip("\n").replace("WORK", work))


def simple(work: str = "true") -> str:
    return compose("services:\n  web: {image: IMAGE, entrypoint: [sleep, '600'], stop_grace_period: 1s}\nCHECKS", work)


def run_tests(checkout: Checkout, reports: Path, code: int = 0) -> str:
    (checkout.project_dir / "passed.xml").write_text(REPORT)
    words = ("test.integration", "--env", "dev")
    return checkout.inv(*words, code=code, SLIPWAY_REPORTS_DIR=str(reports)).stderr


@contextlib.contextmanager
def outside(name: str) -> Iterator[None]:
    docker("volume", "create", name)
    docker("network", "create", name)
    try:
        yield
    finally:
        docker("network", "rm", name, check=False)
        docker("volume", "rm", name, check=False)


def free_subnet() -> str:
    """Return the first three numbers of a subnet that no network of the engine uses."""
    ids = docker("network", "ls", "--quiet").split()
    taken = docker("network", "inspect", "--format", "{{range .IPAM.Config}}{{.Subnet}} {{end}}", *ids)
    numbers = ((os.getpid() + step) % 254 for step in range(254))  # another process may look at the same time
    return next(prefix for number in numbers if f"{(prefix := f'10.231.{number}')}." not in taken)


def test_a_copy_next_to_the_running_stack_touches_nothing_of_it(small: Small, tmp_path: Path) -> None:
    checkout = small("services: {}")
    name, directory = checkout.projects[0], checkout.project_dir
    text = compose(LIVE).replace("SUBNET", free_subnet()).replace("DIRECTORY", str(directory))
    image = small("services: {base: {image: IMAGE}}")  # the fixture writes the image's name for IMAGE
    used = (image.project_dir / "compose.yaml").read_text().split("image: ")[1].rstrip("}\n ")
    text = text.replace("CONTAINER", f"{name}-it").replace("NAME", name).replace("IMAGE", used)
    (directory / "compose.yaml").write_text(text)
    for folder in ("data", "placed"):
        (directory / folder).mkdir()
    (directory / "settings").write_text("as they were\n")
    with outside(f"{name}-outside"):
        try:
            checkout.inv("deploy.dev")
            before = docker("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", f"{name}-it")
            said = run_tests(checkout, tmp_path / "reports")
            assert f"store: /data is an empty volume in the copy, not {directory}/data" in said
            assert f"store: /settings cannot be written to in the copy: it is {directory}/settings" in said
            places = ("/data", "/named", "/placed", "/outside")
            starts = docker("exec", f"{name}-it", "cat", *(f"{place}/starts" for place in places))
            assert starts.split() == ["opened"] * 4
            assert docker("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", f"{name}-it") == before
            assert copies(name) == []
        finally:
            docker("rm", "--force", f"{name}-it", check=False)


def test_what_cannot_be_copied_is_refused_by_name_before_anything_is_made(small: Small, tmp_path: Path) -> None:
    checkout = small(compose(SHARING))
    (checkout.project_dir / "rows.db").write_bytes(b"SQLite format 3\0")
    said = run_tests(checkout, tmp_path / "reports", code=3)
    for fault in ("agent: network_mode: host", "agent: pid: host", "agent: devices: /dev/mem",
                  "watch: volumes: /var/run/docker.sock:/sock:ro", "/rows.db:/rows.db"):  # fmt: skip
        assert fault in said
    assert copies(checkout.projects[0]) == []
    assert said.splitlines()[-1].strip().startswith("hint:") or "nothing was started" in said.splitlines()[-1]


def test_a_stack_whose_process_cannot_be_seen_from_here_is_left_alone(small: Small, tmp_path: Path) -> None:
    checkout = small(simple())
    owner = checkout.projects[0]
    name = f"{owner}-it-elsewhere"
    labels = {
        "slipway.throwaway": owner, "com.docker.compose.project": name,
        "slipway.test.holder": f"runner/77:{os.getpid()}:another-start/4026531836/1",
    }  # fmt: skip
    docker("network", "create", *(f"--label={key}={value}" for key, value in labels.items()), f"{name}_default")
    try:
        said = run_tests(checkout, tmp_path / "reports")
        assert f"{name}: left alone: process {os.getpid()} on runner cannot be seen from here" in said
        said = checkout.inv("clean", "--env", "dev").stderr
        assert f"(cd / && docker compose -p {name} down --volumes --remove-orphans)" in said
        assert len(copies(owner)) == 1
    finally:
        docker("network", "rm", f"{name}_default", check=False)


@pytest.mark.skipif(
    os.geteuid() != 0 or processes._namespace() != processes._MACHINE, reason="needs root on the machine itself"
)
def test_a_run_in_a_container_of_its_own_is_left_alone_and_its_networks_go_once_it_is_dead(
    small: Small, tmp_path: Path
) -> None:
    checkout = small(simple("sleep 600"))
    owner = checkout.projects[0]
    (checkout.project_dir / "passed.xml").write_text(REPORT)
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    inner = subprocess.Popen(
        [*command, *checkout.command("test.integration", "--env", "dev")],
        env=checkout.environment(SLIPWAY_REPORTS_DIR=str(tmp_path / "inner")), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    label = ("--filter", f"label=slipway.throwaway={owner}", "--filter", "label=com.docker.compose.service=checks")
    until(lambda: docker("ps", "-q", *label) or inner.poll() is not None, "the tests start", 120)
    there = copies(owner)
    said = checkout.inv("clean", "--env", "dev").stderr
    assert "left alone: process " in said
    assert copies(owner) == there
    os.killpg(inner.pid, signal.SIGKILL)
    inner.communicate(timeout=30)
    file = checkout.project_dir / "compose.yaml"
    file.write_text(file.read_text().replace("sleep 600;", "true;"))
    said = run_tests(checkout, tmp_path / "outer")
    assert "left behind by a run that was killed, removed" in said
    assert copies(owner) == []


def test_clean_removes_the_names_that_releases_gave_to_images_of_others(small: Small) -> None:
    checkout = small("services: {web: {image: IMAGE, entrypoint: [sleep, '600'], stop_grace_period: 1s}}")
    name = checkout.projects[0]
    file = checkout.project_dir / "compose.yaml"
    foreign = f"{name}-foreign:1"
    docker("tag", file.read_text().split("image: ")[1].split(",")[0], foreign)
    file.write_text(file.read_text().replace(file.read_text().split("image: ")[1].split(",")[0], foreign))
    others = f"{name}-foreign:someone-release-1"
    docker("tag", foreign, others)
    try:
        checkout.inv("deploy.dev")
        assert f"{name}-foreign:{name}-release-1" in docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
        said = checkout.inv("clean", "--images", "--env", "dev").stderr
        assert f"image name {name}-foreign:{name}-release-1" in said
        left = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
        assert sorted(tag for tag in left if name in tag) == [foreign, others]
        assert "nothing to remove" in checkout.inv("clean", "--images", "--env", "dev").stderr
    finally:
        docker("rmi", foreign, others, check=False)


def test_an_image_of_a_forgotten_release_goes_and_one_in_use_does_not_keep_the_others(small: Small) -> None:
    checkout = small("services: {web: {image: 'REPOSITORY:1', entrypoint: [sleep, '600'], stop_grace_period: 1s}}",
                     profile="KEEP_RELEASES=1\n")  # fmt: skip
    name, file = checkout.projects[0], checkout.project_dir / "compose.yaml"
    source = small("services: {base: {image: IMAGE}}")
    base = (source.project_dir / "compose.yaml").read_text().split("image: ")[1].rstrip("}\n ")
    file.write_text(file.read_text().replace("REPOSITORY", f"{name}-foreign"))
    ids = []
    try:
        for number in range(4):
            made = subprocess.run(
                ["docker", "build", "--quiet", "--tag", f"{name}-foreign:1", "-"],
                input=f"FROM {base}\nENV NUMBER={number}\n", capture_output=True, text=True, check=True,
            )  # fmt: skip
            ids.append(made.stdout.strip())
            checkout.inv("deploy.dev")
            if number == 0:
                docker("run", "--detach", "--name", f"{name}-user", "--entrypoint", "sleep", ids[0], "600")
        left = docker("image", "ls", "--no-trunc", "--quiet").split()
        assert ids[0] in left  # in use
        assert ids[1] not in left
        assert {ids[2], ids[3]} <= set(left)  # what serves, and what a roll back goes to
    finally:
        docker("rm", "--force", f"{name}-user", check=False)
        checkout.inv("clean", "--images", "--env", "dev")
        docker("rmi", f"{name}-foreign:1", check=False)
