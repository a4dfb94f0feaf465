"""The program of the Jobs on a cluster: what it changes it changes back, also when it is killed in between."""

import copy
import importlib.util
from types import ModuleType
from typing import Any

import pytest
from support import ROOT

FILE = ROOT / "docker_project" / "chaos" / "helper" / "cluster_fault.py"
NODE = "/api/v1/nodes/one"
POLICY = "/apis/networking.k8s.io/v1/namespaces/ns/networkpolicies/app"
PODS = "/api/v1/namespaces/ns/pods"
SPEC = {"podSelector": {"matchLabels": {"app": "shop"}}, "policyTypes": ["Ingress"], "ingress": [{"from": []}]}
OF_DRAIN = ("drain", "--seconds=0.02", "--mark=ns/d", "--namespace=ns", "--target=one", "--selector=part=shop")
OF_CUT = ("cut", "--seconds=0.02", "--mark=ns/c", "--namespace=ns", "--target=app", "--selector=app=shop")


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    found = importlib.util.spec_from_file_location("cluster_fault", FILE)
    assert found and found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    monkeypatch.setattr(module.signal, "signal", lambda *_: None)
    monkeypatch.setattr(module, "_PAUSE", 0.001)
    return module


class Server:
    """An API server with a node, policies and Pods; ``refuses`` an error for a request, as often as there are some."""

    def __init__(self, **refuses: list[Exception]) -> None:
        self.node: dict[str, Any] = {"metadata": {"resourceVersion": "1"}, "spec": {}}
        self.policies = [{"metadata": {"name": "app", "resourceVersion": "1"}, "spec": copy.deepcopy(SPEC)}]
        self.pods = [{"metadata": {"name": "a", "namespace": "ns", "labels": {"app": "shop"}}}]
        self.evicted: list[str] = []
        self._refuses = refuses

    def ask(self, method: str, path: str, body: Any = None, kind: str = "merge-patch") -> Any:
        if refused := self._refuses.get(method.lower()):
            raise refused.pop()
        path, _, _ = path.partition("?")
        if method == "POST":
            self.evicted.append(body["metadata"]["name"])
            return True
        if path == PODS:
            return {"items": copy.deepcopy(self.pods)}
        if path == POLICY.rpartition("/")[0]:
            return {"items": copy.deepcopy(self.policies)}
        thing: Any = self.node if path == NODE else next(iter(self.policies), None)
        if method == "GET" or thing is None:
            return copy.deepcopy(thing)
        self._patch(thing, body)
        return thing

    def _patch(self, thing: dict[str, Any], body: Any) -> None:
        if isinstance(body, list):
            assert body[0] == {"op": "test", "path": "/metadata/resourceVersion", "value": "1"}
            for step in body[1:]:
                if step["op"] == "remove":
                    del thing["metadata"]["annotations"][step["path"].rpartition("/")[2].replace("~1", "/")]
                else:
                    thing["spec"] = step["value"]
            return
        for key, value in (body["metadata"].get("annotations") or {}).items():
            known = thing["metadata"].setdefault("annotations", {})
            known.pop(key, None) if value is None else known.update({key: value})
        for key, value in body["spec"].items():
            thing["spec"].pop(key, None) if value is None else thing["spec"].update({key: value})


def test_a_drained_node_is_as_before_and_only_pods_that_can_go_were_asked_to(
    program: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server()
    server.pods += [
        {"metadata": {"name": "agent", "namespace": "ns", "ownerReferences": [{"kind": "DaemonSet"}]}},
        {"metadata": {"name": "gone", "namespace": "ns", "deletionTimestamp": "now"}},
    ]
    assert program.main(OF_DRAIN, server) == 0
    assert capsys.readouterr().out.split("\n")[:-1] == ["in effect", "over"]
    assert set(server.evicted) == {"a"}
    assert server.node == {"metadata": {"resourceVersion": "1", "annotations": {}}, "spec": {}}


def test_a_node_that_somebody_else_has_cordoned_stays_so(
    program: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server()
    server.node["spec"]["unschedulable"] = True
    assert program.main(OF_DRAIN, server) == 0
    assert "failed: the node takes no Pods already" in capsys.readouterr().out
    assert server.node["spec"] == {"unschedulable": True} and server.evicted == []


def test_a_policy_says_what_it_said_before(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    server, seen = Server(), []
    monkeypatch.setattr(program.time, "sleep", lambda _: seen.append(copy.deepcopy(server.policies[0]["spec"])))
    assert program.main(OF_CUT, server) == 0
    assert [(spec["ingress"], spec["egress"]) for spec in seen] == [([], [])]
    assert server.policies[0] == {"metadata": {"name": "app", "resourceVersion": "1", "annotations": {}}, "spec": SPEC}


def test_a_program_that_was_killed_only_undoes(program: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    server = Server()
    given = ("drain", "--seconds=600", *OF_DRAIN[2:])
    server.node = {
        "metadata": {"resourceVersion": "1", "annotations": {program.MARK: "ns/d"}}, "spec": {"unschedulable": True},
    }  # fmt: skip
    assert program.main(given, server) == 0
    assert capsys.readouterr().out == "started again\nover\n" and server.evicted == []
    assert server.node["spec"] == {}


def test_without_time_nothing_is_made_and_what_is_of_others_stays(program: ModuleType) -> None:
    server = Server()
    server.node["metadata"]["annotations"] = {program.MARK: "other/d"}
    server.node["spec"]["unschedulable"] = True
    assert program.main(("drain", "--seconds=0", *OF_DRAIN[2:]), server) == 0
    assert server.node["spec"] == {"unschedulable": True}


def test_a_policy_that_a_deploy_has_written_meanwhile_stays_as_that_wrote_it(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    newer = {**SPEC, "ingress": [{"ports": [{"port": 80}]}]}
    monkeypatch.setattr(program.time, "sleep", lambda _: server.policies[0].update(spec=newer))
    assert program.main(OF_CUT, server) == 0
    assert server.policies[0]["spec"] == newer and server.policies[0]["metadata"]["annotations"] == {}


def test_a_cut_that_another_policy_would_make_void_is_not_made(
    program: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server()
    server.policies.append({"metadata": {"name": "all"}, "spec": {"podSelector": {}, "ingress": [{}]}})
    assert program.main(OF_CUT, server) == 0
    assert "failed: the network policy all lets its traffic through as well" in capsys.readouterr().out
    assert server.policies[0]["spec"] == SPEC
    server.policies = []
    assert program.main(OF_CUT, server) == 0
    assert "failed: the service has no network policy" in capsys.readouterr().out


def test_it_is_undone_as_soon_as_the_api_server_answers_again(program: ModuleType) -> None:
    server = Server()
    given = program.argparse.Namespace(mark="ns/d", target="one", namespace="ns", selector="part=shop")
    wanted = program.Drain(server, given)
    wanted.begin()
    server._refuses = {"get": [program.AwayError("away")] * 5}
    program.undone(wanted)
    assert server.node["spec"] == {}


def test_an_api_server_that_refuses_is_quoted(program: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    server = Server(patch=[program.FaultError("the API server refused: nodes is forbidden")])
    assert program.main(OF_DRAIN, server) == 0
    assert "failed: the API server refused: nodes is forbidden" in capsys.readouterr().out
    assert server.node["spec"] == {}
