"""The configuration files of the monitoring: what the images make of them, and that they agree with each other."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import ROOT

MONITORING = ROOT / "docker_project" / "monitoring"


def built(name: str, directory: Path, **arguments: str) -> Any:
    """Return what the image has of a file, with these build arguments: the commands of the Dockerfile are run."""
    text = (MONITORING / "Dockerfile").read_text()
    found = re.search(rf"^COPY {re.escape(name)} \./\nRUN (.*?[^\\])\n$", text, re.MULTILINE | re.DOTALL)
    assert found, name
    copy = directory / Path(name).name
    copy.write_bytes((MONITORING / name).read_bytes())
    environment = {"PATH": os.environ["PATH"], **arguments}
    subprocess.run(["sh", "-c", found[1]], cwd=directory, env=environment, check=True)
    return yaml.safe_load(copy.read_text())


def compose() -> Any:
    return yaml.safe_load((MONITORING / "docker-compose.monitoring.yml").read_text())


def static_targets(prometheus: Any) -> list[tuple[str, Any]]:
    return [
        (target, group.get("labels", {}))
        for scraped in prometheus["scrape_configs"]
        for group in scraped.get("static_configs", [])
        for target in group["targets"]
    ]


def test_interval_and_project_of_the_profile_are_in_prometheus(tmp_path: Path) -> None:
    made = built("prometheus/prometheus.yml", tmp_path, MONITOR_INTERVAL="2s", MONITORED_PROJECT="shop")

    assert made["global"] == {
        "scrape_interval": "2s",
        "evaluation_interval": "2s",
        "external_labels": {"project": "shop"},
    }
    assert {labels["project"] for _, labels in static_targets(made)} == {"shop"}


@pytest.mark.parametrize(("interval", "services"), [("15s", "5s"), ("30s", "10s"), ("2s", "1s"), ("1s", "1s")])
def test_services_are_read_three_times_an_interval(tmp_path: Path, interval: str, services: str) -> None:
    made = built("prometheus/prometheus.yml", tmp_path, MONITOR_INTERVAL=interval, MONITORED_PROJECT="shop")

    assert made["global"]["evaluation_interval"] == interval
    own = {scraped["job_name"]: scraped.get("scrape_interval", interval) for scraped in made["scrape_configs"]}
    assert own.pop("services") == services
    assert set(own.values()) == {interval}


def test_without_a_project_there_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        built("prometheus/prometheus.yml", tmp_path, MONITOR_INTERVAL="2s")


@pytest.mark.parametrize("receiver", ["none", "webhook"])
def test_alerts_go_to_the_receiver_of_the_profile(tmp_path: Path, receiver: str) -> None:
    made = built("alertmanager/alertmanager.yml", tmp_path, MONITOR_RECEIVER=receiver)

    assert made["route"]["receiver"] == receiver
    assert receiver in {known["name"] for known in made["receivers"]}
    assert all("receiver" not in route for route in made["route"]["routes"])


def test_what_prometheus_scrapes_is_a_service_that_always_runs() -> None:
    services = compose()["services"]
    always = {name for name, service in services.items() if not service.get("profiles")}
    hosts = {target.partition(":")[0] for target, _ in static_targets(yaml.safe_load(prometheus_text()))}

    assert hosts - {"localhost"} <= always
    assert {"container-exporter", "blackbox-exporter"} <= always  # named in URLs and relabelling


def prometheus_text() -> str:
    return (MONITORING / "prometheus" / "prometheus.yml").read_text()


def test_only_the_loopback_interface_publishes() -> None:
    ports = [port for service in compose()["services"].values() for port in service.get("ports", [])]

    assert len(ports) == 4
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_nothing_but_volumes_and_the_socket_is_mounted() -> None:
    made = compose()
    mounts = {
        name: [
            mount.split(":")[0] for mount in service.get("volumes", []) if mount.split(":")[0] not in made["volumes"]
        ]
        for name, service in made["services"].items()
    }

    assert {name: left for name, left in mounts.items() if left} == {"engine-proxy": ["${ENGINE_SOCKET"]}


def test_the_proxy_of_the_engine_shares_a_network_with_its_exporter_only() -> None:
    made = compose()
    networks = made["services"]["engine-proxy"]["networks"]

    assert networks == ["engine"]
    assert made["networks"]["engine"] == {"internal": True}
    assert [name for name, service in made["services"].items() if "engine" in service["networks"]] == [
        "engine-proxy",
        "container-exporter",
    ]


@pytest.mark.parametrize("key", ["mem_limit", "cpus", "pids_limit", "healthcheck", "read_only", "cap_drop", "logging"])
def test_every_container_is_bounded(key: str) -> None:
    assert [name for name, service in compose()["services"].items() if key not in service] == []


def test_go_frees_memory_before_a_limit_is_reached() -> None:
    services = compose()["services"]
    limits = {name: int(service["mem_limit"].removesuffix("m")) for name, service in services.items()}
    soft = {name: int(service["environment"]["GOMEMLIMIT"].removesuffix("MiB")) for name, service in services.items()}

    assert [name for name in services if soft[name] > 0.85 * limits[name]] == []


# The collectors of node-exporter by the beginning of their metrics, where it is another word.
COLLECTORS = {"memory": "meminfo", "disk": "diskstats", "load1": "loadavg"}


def test_every_metric_of_the_host_that_an_alert_needs_is_collected() -> None:
    rules = (MONITORING / "prometheus" / "rules" / "node.yml").read_text()
    needed = {COLLECTORS.get(word, word) for word in re.findall(r"\bnode_([a-z0-9]+)(?:_|\{)", rules)}
    command = compose()["services"]["node-exporter"]["command"]
    enabled = {word.removeprefix("--collector.") for word in command if "=" not in word}

    assert needed - {"exporter"} - enabled == set()


def test_the_file_system_of_the_volumes_is_no_read_only_one_for_alerts() -> None:
    rules = (MONITORING / "prometheus" / "rules" / "node.yml").read_text()

    assert "node_filesystem_readonly" in rules
    assert [mount for mount in compose()["services"]["node-exporter"]["volumes"] if mount.endswith(":ro")] == []


def test_a_page_about_one_file_system_hides_no_ticket_about_another() -> None:
    (rule,) = yaml.safe_load((MONITORING / "alertmanager" / "alertmanager.yml").read_text())["inhibit_rules"]

    assert {"alertname", "project", "service", "container", "instance", "mountpoint"} == set(rule["equal"])
