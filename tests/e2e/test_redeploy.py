"""A deploy after a deploy: what changed is deployed, and then there is nothing to do."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from .support import Checkout, docker

Small = Callable[..., Checkout]
WEB = """
services:
  web:
    image: IMAGE
    command: [sleep, infinity]
    init: true
"""


def replaced(file: Path, text: str) -> None:
    """Replace a file by rename, as tools that rotate secrets do."""
    other = file.with_name("other")
    other.write_text(text)
    other.chmod(0o644)
    other.replace(file)


def assert_settled(checkout: Checkout) -> None:
    """Assert that another deploy has nothing to do."""
    plan = checkout.json("deploy.plan")
    assert checkout.json("deploy.dev")["outcome"] == "unchanged", plan


def test_a_changed_secret_reaches_service_and_one_off_and_then_there_is_nothing_to_do(small: Small) -> None:
    checkout = small(
        WEB
        + "    secrets: [token]\n    depends_on: {job: {condition: service_completed_successfully}}\n"
        + "  job: {image: IMAGE, command: [cat, /run/secrets/token], secrets: [token], x-slipway: {job: migrate}}\n"
        + "secrets: {token: {file: ./token}}\n"
    )
    token = checkout.project_dir / "token"
    token.write_text("old")
    token.chmod(0o644)
    checkout.inv("deploy.dev")
    assert_settled(checkout)
    assert len(checkout.json("deploy.history")["releases"]) == 1, "it was noted by the key that later deploys have"
    replaced(token, "new")
    assert checkout.json("deploy.plan")["changes"][0]["causes"] == ["secret token changed"]
    checkout.inv("deploy.dev")
    assert checkout.inv("shell", "--service", "web", "--command", "cat /run/secrets/token").stdout == "new"
    assert docker("logs", f"{checkout.projects[0]}-job-1").endswith("new")
    assert_settled(checkout)


def test_a_plan_names_what_changed_of_a_configuration_and_no_value_of_it(small: Small) -> None:
    before = "    environment: {TOKEN: $TOKEN, MODE: fast}\n    labels: {team: shop}\n"
    checkout = small(WEB + before, profile="TOKEN=first-Secret-1\n")
    checkout.inv("deploy.dev")
    assert_settled(checkout)
    file, profile = checkout.project_dir / "compose.yaml", checkout.project_dir / "envs" / "dev.env"
    file.write_text(file.read_text().replace("team: shop", "team: web").replace(", MODE: fast", ""))
    profile.write_text(profile.read_text().replace("first-Secret-1", "other-Secret-2"))

    told = checkout.inv("deploy.plan", "--json")

    assert json.loads(told.stdout)["changes"][0]["causes"] == ["environment TOKEN, MODE", "labels team"]
    assert not re.search("(first|other)-Secret", told.stdout + told.stderr)
    checkout.inv("deploy.dev")
    assert_settled(checkout)


def test_a_plan_names_what_the_engine_shows_where_no_release_is_recorded(small: Small) -> None:
    checkout = small(WEB + "    environment: {MODE: fast, LEVEL: low}\n")
    checkout.inv("deploy.dev")
    assert_settled(checkout)
    docker("image", "rm", f"{checkout.projects[0]}-release:1")
    file = checkout.project_dir / "compose.yaml"
    file.write_text(file.read_text().replace("fast", "slow"))
    assert checkout.json("deploy.plan")["changes"][0]["causes"] == ["configuration changed: environment MODE"]


def test_the_files_of_releases_go_with_the_releases_and_what_is_mounted_stays(small: Small) -> None:
    side = WEB.partition("services:\n")[2].replace("web:", "side:") + "    volumes: [./side:/conf:ro]\n"
    checkout = small(WEB + "    volumes: [./web:/conf:ro]\n" + side, profile="KEEP_RELEASES=1\n")
    project, volume = checkout.projects[0], f"{checkout.projects[0]}-release-files"

    def write(name: str, text: str) -> None:
        (checkout.project_dir / name).mkdir(exist_ok=True)
        (checkout.project_dir / name / "conf").write_text(text)

    def mounted(name: str) -> str:
        return docker("inspect", "--format", "{{range .Mounts}}{{.Source}} {{end}}", f"{project}-{name}-1")

    def kept() -> list[str]:
        root = Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", volume))
        return sorted(path.read_text() for path in root.rglob("*") if path.is_file() and path.stat().st_size)

    for release in ("1", "2"):
        write("web", f"web {release}")
        write("side", f"side {release}")
        checkout.inv("deploy.dev")
    assert checkout.json("deploy.rollback", "--yes")["outcome"] == "deployed"
    assert kept() == ["side 1", "web 1"]
    write("side", "side 1")  # as it is mounted from the volume: no reason to make the container anew
    checkout.inv("deploy.dev")

    assert [volume in mounted("web"), volume in mounted("side")] == [False, True]
    assert kept() == ["side 1"]
    assert docker("exec", f"{project}-side-1", "cat", "/conf/conf") == "side 1"

    checkout.inv("deploy.rollback", "--yes")
    assert docker("exec", f"{project}-web-1", "cat", "/conf/conf") == "web 1", "an emptied directory is filled again"
    for release in ("3", "4"):
        write("web", f"web {release}")
        write("side", f"side {release}")
        checkout.inv("deploy.dev")
    assert volume not in docker("volume", "ls", "--format", "{{.Name}}").split()


def test_services_in_the_namespace_of_another_settle(small: Small) -> None:
    side = '  {0}: {{image: IMAGE, command: [sleep, infinity], init: true, {0}: "service:web"}}\n'
    checkout = small(WEB + "    ipc: shareable\n" + "".join(side.format(key) for key in ("network_mode", "pid", "ipc")))
    checkout.inv("deploy.dev")
    assert_settled(checkout)


def test_a_volume_and_a_network_of_another_name_are_used(small: Small) -> None:
    use = "    volumes: [kept:/kept]\n    networks: [kept]\n"
    names = "".join(f"{kind}s: {{kept: {{name: NAME-one}}}}\n" for kind in ("volume", "network"))
    checkout = small(WEB + use + names)
    file = checkout.project_dir / "compose.yaml"
    file.write_text(file.read_text().replace("NAME", checkout.projects[0]))
    checkout.inv("deploy.dev")
    assert_settled(checkout)
    file.write_text(file.read_text().replace("-one", "-two"))
    checkout.inv("deploy.dev")
    shown = "{{range .Mounts}}{{.Name}} {{end}}", "{{range $n, $x := .NetworkSettings.Networks}}{{$n}} {{end}}"
    for used in (docker("inspect", "--format", words, f"{checkout.projects[0]}-web-1") for words in shown):
        assert f"{checkout.projects[0]}-two" in used, used  # the image has a volume without a name, too
    assert_settled(checkout)


def test_a_network_that_is_made_anew_and_one_that_stays_are_told_apart(small: Small) -> None:
    networks = "    networks: [front, back]\nnetworks:\n  front: {}\n  back: {internal: INTERNAL}\n"
    checkout = small(WEB + networks.replace("INTERNAL", "false"))
    checkout.inv("deploy.dev")
    assert_settled(checkout)
    file = checkout.project_dir / "compose.yaml"
    file.write_text(file.read_text().replace("internal: false", "internal: true"))

    operations = checkout.json("deploy.plan")["operations"]

    assert [operation["subject"] for operation in operations if "network" in operation["kind"]] == [
        f"{checkout.projects[0]}_back"
    ]
    checkout.inv("deploy.dev")
    assert_settled(checkout)
