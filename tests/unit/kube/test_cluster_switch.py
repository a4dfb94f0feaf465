"""The way back of a switch: in which order Pods, Services and helm's record are put right."""

import base64
import gzip
import json
from collections.abc import Sequence
from typing import Any, cast

import pytest
import yaml
from workload_release import objects, release

from tasks.deploy.cluster import switch
from tasks.host.runner import Result
from tasks.kube.live.cluster import Cluster
from tasks.kube.live.inventory import documents
from tasks.kube.plan.live import helm_record
from tasks.kube.plan.workloads.slots import in_slot, with_former
from tasks.model.command import Command

SELECTOR = {"app.kubernetes.io/part-of": "shop", "app.kubernetes.io/name": "app"}


class Recording:
    """A cluster that has objects, and keeps those of revision 4; it records what it is told to do."""

    name = release = namespace = "shop"

    def __init__(self, kept: Sequence[Any], live: Sequence[Any], begun: Sequence[Any] = ()) -> None:
        self._kept, self._live, self._begun = kept, live, begun
        self.done: list[str] = []

    def helm(self, *words: str, **_: Any) -> Command:
        return Command(("helm", *words))

    def kubectl(self, *words: str, stdin: str | None = None, **_: Any) -> Command:
        return Command(("kubectl", *words), stdin=stdin)

    def start(self, command: Command) -> Command:
        return command

    def answer(self, command: Command, _: Any) -> str:
        assert command.argv[1:3] == ("get", "manifest")
        return str(yaml.safe_dump_all(json.loads(json.dumps(self._kept))))

    def read(self, *words: str) -> Any:
        return {"items": self._begun if words[1] == "secrets" else self._live}

    def tried(self, command: Command) -> Result:
        self.done.append(" ".join(command.argv[1:4]))
        return Result(0, "", "")

    def silently(self, command: Command) -> None:
        assert command.argv[1] == "replace"
        names = [raw["metadata"]["name"] for raw in documents(helm_record.manifest(json.loads(command.stdin or "")))]
        self.done.append(" ".join(("note", *names)))

    def run(self, command: Command) -> None:
        listed = json.loads(command.stdin)["items"] if command.stdin else []
        told = [f"{each['kind']} {each['metadata']['name']}" for each in listed]
        self.done.append(" ".join([*command.argv[1:2], *(told or command.argv[3:4])]))


def made(slot: str) -> tuple[Any, ...]:
    service = {"kind": "Service", "metadata": {"name": "app", "labels": SELECTOR}, "spec": {"selector": SELECTOR}}
    source = release(app={"image": "app:1", "x-slipway": {"rollout": "blue-green"}})
    return in_slot((*objects(source, "app"), service), SELECTOR, slot)


def stored(*objects: Any) -> dict[str, Any]:
    """Return the Secret in which helm keeps a revision with these objects."""
    text = "".join(f"---\n{json.dumps(raw, default=dict)}\n" for raw in objects)
    packed = gzip.compress(json.dumps({"version": 5, "manifest": text}).encode())
    about = {"labels": {"version": "5"}}
    return {
        "kind": "Secret",
        "metadata": about,
        "data": {"release": base64.b64encode(base64.b64encode(packed)).decode()},
    }


def way_back(live: Sequence[Any]) -> list[str]:
    cluster = Recording(made("blue"), live)
    switch.bring_back(cast(Cluster, cluster), 4, 30.0)
    return cluster.done


def test_the_services_go_back_first() -> None:
    assert way_back([*made("green"), made("blue")[0]]) == ["apply Service app", "rollback 4"]


def test_pods_that_are_gone_are_ready_before_the_services_go_back() -> None:
    assert way_back(made("green")) == (
        ["apply Deployment app-blue", "rollout status deployment/app-blue", "apply Service app", "rollback 4"]
    )


def test_routes_of_a_mesh_go_back_before_the_services_since_they_may_name_slots(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(switch, "HEARD", 0.0)
    routes = {"kind": "VirtualService", "metadata": {"name": "app", "labels": SELECTOR}, "spec": {"http": []}}
    cluster = Recording((*made("blue"), routes), [*made("green"), made("blue")[0], routes])
    switch.bring_back(cast(Cluster, cluster), 4, 30.0)
    assert cluster.done == ["apply VirtualService app", "apply Service app", "rollback 4"]


def test_former_pods_are_asked_until_nodes_have_heard_and_only_then_helm_leads_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(switch.time, "sleep", slept.append)
    kept = [*with_former(made("blue"), SELECTOR, "blue")]
    for live, expected in ((made("green"), [switch.ASKED_AGAIN]), (made("blue"), [])):
        slept.clear()
        cluster = Recording(kept, [*live, made("blue")[0]])
        switch.bring_back(cast(Cluster, cluster), 4, 30.0)
        assert slept == expected and cluster.done[-1] == "rollback 4"


def test_helm_is_told_what_a_killed_one_had_not_removed_before_it_goes_back() -> None:
    there = [*made("blue"), made("green")[0]]
    cluster = Recording(made("blue"), there, [stored(*made("green"))])
    switch.bring_back(cast(Cluster, cluster), 4, 30.0)
    assert cluster.done == ["note app-green app app-blue", "rollback 4"]


def test_a_record_that_lacks_nothing_stays_as_it_is() -> None:
    cluster = Recording(made("blue"), [*made("blue")], [stored(*made("green"), made("blue")[0])])
    switch.bring_back(cast(Cluster, cluster), 4, 30.0)
    assert cluster.done == ["rollback 4"]


def test_before_a_switch_there_is_only_helms_record_to_put_right() -> None:
    assert way_back([*made("blue"), made("green")[0]]) == ["rollback 4"]
