"""A plan for a cluster in a file: carried out as it is, or refused with what has moved since it was made."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cluster_objects import NAMES, after, deployment, metadata, service, state
from fake_project import FakeProject
from fakes import World
from support import built

from tasks.deploy.cluster import written
from tasks.deploy.cluster.prepare import ClusterDeploy
from tasks.deploy.plan import agreed, cluster_facts
from tasks.deploy.plan.cluster import ClusterPolicy
from tasks.deploy.plan.cluster import plan as cluster_plan
from tasks.deploy.plan.deploy import Deploy
from tasks.deploy.plan.shown import ShownPlan
from tasks.kube.live import seal_key
from tasks.kube.plan.live import difference
from tasks.kube.plan.live.faults import ClusterPlace
from tasks.kube.plan.live.revisions import Revision
from tasks.kube.plan.live.secret_versions import StoredSecret
from tasks.kube.plan.source import HostFile, ImageFacts, KubeSource
from tasks.kube.plan.workloads.charts import ChartObjects
from tasks.model.errors import RefusedError
from tests.schemas import faults

PASSWORD = "aHVudGVyMg=="
SERVICES = {"app": {"image": "shop/app:1"}}


@dataclass
class Place:
    """A project on a cluster, and what is there."""

    project: FakeProject
    directory: Path
    key: bytes = b"k" * 32
    uid: str = "5b1f0c1e-aaaa"
    context: str = "prod-eu"
    image: str = "shop/app@sha256:1"
    secret: str = PASSWORD
    conf: bytes = b"level = info"
    replicas: int = 2
    live: list[dict[str, Any]] = field(default_factory=lambda: [deployment(), service()])
    revisions: tuple[Revision, ...] = (Revision(1, "deployed", "t"),)

    def prepared(self) -> ClusterDeploy:
        """Return the deploy of what the files say: a Deployment of another image."""
        wanted = [after(deployment(image=self.image, replicas=self.replicas)), after(service())]
        now, stack = state(self.live, wanted), self.project.stack
        found = difference.differences(now, stack.services)
        deploy = Deploy(cluster_plan(stack, found, ClusterPolicy()))
        source = KubeSource(
            self.project.model, stack, images={"app": ImageFacts(reference=self.image)},
            files={str(self.directory / "conf"): HostFile("directory", {"app.conf": self.conf})},
        )  # fmt: skip
        cluster: Any = SimpleNamespace(project=self.project, place=ClusterPlace(self.context, "shop", "dev"))
        cluster.name = cluster.namespace = "shop"
        cluster.read = lambda *_, **__: {"metadata": {"name": "shop", "uid": self.uid}}
        secret: Any = SimpleNamespace(after=StoredSecret({"password": self.secret}, {}), changed=())
        history: Any = SimpleNamespace(revisions=self.revisions, applied={})
        objects = ChartObjects(tuple(wanted), (), ())
        return ClusterDeploy(cluster, source, objects, now, secret, history, deploy, NAMES)

    def write(self) -> Path:
        prepared, file = self.prepared(), self.directory / "plan.json"
        written.write(self.project, prepared, ShownPlan(prepared.deploy, prepared.stack, ()), str(file))
        return file

    def check(self, file: Path) -> None:
        """Refuse the plan in a file where something has moved."""
        plan = agreed.parse(file.read_text(), str(file), "dev")
        written.refuse_moved(self.project, self.prepared(), plan)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    project = FakeProject(World(), tmp_path, KUBECONFIG="/home/one/config")
    project.files(SERVICES)
    made = Place(project, tmp_path)
    monkeypatch.setattr(seal_key, "find", lambda _: made.key)
    return made


def test_a_plan_of_which_nothing_has_moved_is_carried_out(place: Place) -> None:
    file = place.write()

    said = json.loads(file.read_text())
    assert faults(said) == []
    assert [(one["service"], one["action"]) for one in said["changes"]] == [("app", "roll")]
    assert file.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in file.read_text()
    place.check(file)


def test_the_file_of_the_credentials_may_be_elsewhere(place: Place) -> None:
    file = place.write()
    place.project.profile = FakeProject(World(), place.directory, KUBECONFIG="/home/two/config").profile

    place.check(file)


def hand_edited(place: Place) -> None:
    place.live[0]["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] = "debug"


MOVES: dict[str, tuple[Callable[[Place], object], str]] = {
    "by hand": (hand_edited, "Deployment app has changed"),
    "unready": (
        lambda place: place.live[0]["status"].update(readyReplicas=1),
        "Deployment app is not ready (1 of 2 containers are ready), was ready",
    ),
    "gone": (lambda place: place.live.pop(), "Service app is gone"),
    "made anew": (
        lambda place: place.live[1]["metadata"].update(uid="2"),
        "Service app has changed",
    ),
    "another release": (
        lambda place: setattr(place, "revisions", (*place.revisions, Revision(2, "deployed", "t"))),
        "the newest release is 2 (deployed), was 1 (deployed); the release that serves is 2, was 1",
    ),
    "a deploy that was killed": (
        lambda place: setattr(place, "revisions", (*place.revisions, Revision(2, "pending-upgrade", "t"))),
        "the newest release is 2 (pending-upgrade), was 1 (deployed)",
    ),
    "image": (
        lambda place: setattr(place, "image", "shop/app@sha256:2"),
        "the image of app is shop/app@sha256:2, was shop/app@sha256:1",
    ),
    "secret": (lambda place: setattr(place, "secret", "b3RoZXI="), "secret password has changed"),
    "mounted": (lambda place: setattr(place, "conf", b"level = debug"), "mounted file conf/app.conf has changed"),
    "commit": (
        lambda place: setattr(place.project, "version", replace(built(), text="9.9.9")),
        "the version of the checkout is 9.9.9, was ",
    ),
    "Compose files": (
        lambda place: place.project.files({"app": {"image": "shop/app:1", "labels": {"a": "b"}}}),
        "service app of the Compose files has changed",
    ),
    "rendered otherwise": (lambda place: setattr(place, "replicas", 3), "what is applied has changed"),
}


@pytest.mark.parametrize("move", MOVES)
def test_what_has_moved_is_said(place: Place, move: str) -> None:
    file = place.write()
    act, words = MOVES[move]
    act(place)

    with pytest.raises(RefusedError) as caught:
        place.check(file)

    assert caught.value.exit_code == 3
    assert caught.value.message.startswith("not as planned (20")
    assert words in caught.value.message
    assert caught.value.hint == "make the plan again: inv deploy.plan --env dev --out FILE"


def test_another_cluster_with_the_same_names_is_told(place: Place) -> None:
    file = place.write()
    place.uid, place.key = "77777777-bbbb", b"x" * 32

    with pytest.raises(
        RefusedError,
        match=r"the cluster is prod-eu, namespace shop \(77777777\), was prod-eu, namespace shop \(5b1f0c1e\)",
    ):
        place.check(file)


def test_the_plan_of_an_engine_is_none_for_a_cluster(place: Place) -> None:
    theirs = agreed.AgreedPlan("dev", "shop", "t", facts={agreed.ENGINE: agreed.Fact("f", "build-host")}, seal="0")

    with pytest.raises(RefusedError, match="it is for the engine build-host, and this is the cluster prod-eu"):
        written.refuse_moved(place.project, place.prepared(), theirs)


def test_an_edited_plan_and_one_without_a_key_are_refused(place: Place) -> None:
    file = place.write()
    file.write_text(file.read_text().replace('"roll"', '"keep"'))
    with pytest.raises(RefusedError, match="the file was changed since"):
        place.check(file)
    place.key = b""  # the key is gone: nothing is sealed by none
    with pytest.raises(RefusedError, match="the key of the project is another one"):
        place.check(place.write())


def test_the_operations_count_as_well(place: Place) -> None:
    said = json.loads(place.write().read_text())
    del said["seal"]
    other = {**said, "operations": said["operations"][1:]}
    seal = agreed.fingerprint(place.key, json.dumps(other, sort_keys=True))
    (place.directory / "other.json").write_text(json.dumps({**other, "seal": seal}))

    with pytest.raises(RefusedError, match="this version of Slipway would do something else"):
        place.check(place.directory / "other.json")


def test_nothing_is_written_while_a_deploy_has_not_ended(place: Place) -> None:
    place.revisions = (*place.revisions, Revision(2, "pending-upgrade", "t"))

    with pytest.raises(RefusedError, match="an earlier deploy was stopped before it ended"):
        place.write()


def test_jobs_records_and_numbers_that_an_autoscaler_chooses_are_no_facts() -> None:
    target = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}}
    scaler = {"kind": "HorizontalPodAutoscaler", "metadata": metadata("app", "app"), "spec": target}
    record = {"kind": "ConfigMap", "metadata": metadata("shop-release-1"), "data": {}}
    record["metadata"]["labels"]["slipway.dev/release"] = "1"
    job = {"kind": "Job", "metadata": metadata("migrate"), "spec": {}}

    def facts(replicas: int) -> dict[str, Any]:
        listed = (deployment(replicas=replicas), scaler, record, job)
        return {name: (value, words) for name, value, words in cluster_facts.of_objects(listed)}

    assert list(facts(2)) == ["Deployment app", "HorizontalPodAutoscaler app"]
    assert facts(2) == facts(5)
