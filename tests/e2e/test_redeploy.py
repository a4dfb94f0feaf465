"""A deploy after a deploy: what changed is brought in, and then there is nothing to do."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

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
    """Write a file as tools do that rotate secrets: another one under its name."""
    time.sleep(2.1)  # the engine knows the time of creation in whole seconds
    other = file.with_name("other")
    other.write_text(text)
    other.chmod(0o644)
    other.replace(file)


def settled(checkout: Checkout) -> None:
    """Hold that another deploy finds nothing to do."""
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
    settled(checkout)
    replaced(token, "new")
    checkout.inv("deploy.dev")
    assert checkout.inv("shell", "--service", "web", "--command", "cat /run/secrets/token").stdout == "new"
    assert docker("logs", f"{checkout.projects[0]}-job-1").endswith("new")
    settled(checkout)


def test_what_an_env_file_says_is_part_of_the_configuration(small: Small) -> None:
    checkout = small(WEB + "    env_file: [web.env]\n")
    (checkout.project_dir / "web.env").write_text("COLOUR=green\n")
    checkout.inv("deploy.dev")
    settled(checkout)
    (checkout.project_dir / "web.env").write_text("COLOUR=blue\n")
    assert checkout.json("deploy.plan")["changes"][0]["causes"] == ["configuration changed"]
    checkout.inv("deploy.dev")
    assert "blue" in checkout.inv("shell", "--service", "web", "--command", "echo $COLOUR").stdout
    settled(checkout)


@pytest.mark.parametrize("key", ["network_mode", "pid", "ipc"])
def test_a_service_in_the_namespace_of_another_settles(small: Small, key: str) -> None:
    owner = "    ipc: shareable\n" if key == "ipc" else ""
    side = f'  side: {{image: IMAGE, command: [sleep, infinity], init: true, {key}: "service:web"}}\n'
    checkout = small(WEB + owner + side)
    checkout.inv("deploy.dev")
    settled(checkout)


@pytest.mark.parametrize("kind", ["volume", "network"])
def test_a_volume_or_network_of_another_name_is_used(small: Small, kind: str) -> None:
    use = "    volumes: [kept:/kept]\n" if kind == "volume" else "    networks: [kept]\n"
    checkout = small(WEB + use + f"{kind}s: {{kept: {{name: NAME-one}}}}\n")
    file = checkout.project_dir / "compose.yaml"
    file.write_text(file.read_text().replace("NAME", checkout.projects[0]))
    checkout.inv("deploy.dev")
    settled(checkout)
    file.write_text(file.read_text().replace("-one", "-two"))
    checkout.inv("deploy.dev")
    shown = (
        "{{range .Mounts}}{{.Name}}{{end}}"
        if kind == "volume"
        else "{{range $n, $x := .NetworkSettings.Networks}}{{$n}}{{end}}"
    )
    used = docker("inspect", "--format", shown, f"{checkout.projects[0]}-web-1")
    assert f"{checkout.projects[0]}-two" in used, used  # the image has a volume without a name, too
    settled(checkout)


def test_the_first_deploy_notes_secrets_by_the_key_that_later_ones_have(small: Small) -> None:
    checkout = small(WEB + "    secrets: [token]\nsecrets: {token: {file: ./token}}\n", profile="KEEP_RELEASES=2\n")
    (checkout.project_dir / "token").write_text("first")

    checkout.inv("deploy.dev")

    settled(checkout)
    assert len(checkout.json("deploy.history")["releases"]) == 1


def test_a_network_that_is_made_anew_and_one_that_stays_are_told_apart(small: Small) -> None:
    networks = "    networks: [front, back]\nnetworks:\n  front: {}\n  back: {internal: INTERNAL}\n"
    checkout = small(WEB + networks.replace("INTERNAL", "false"))
    checkout.inv("deploy.dev")
    settled(checkout)
    file = checkout.project_dir / "compose.yaml"
    file.write_text(file.read_text().replace("internal: false", "internal: true"))

    operations = checkout.json("deploy.plan")["operations"]

    assert [one["subject"] for one in operations if "network" in one["kind"]] == [f"{checkout.projects[0]}_back"]
    checkout.inv("deploy.dev")
    settled(checkout)
