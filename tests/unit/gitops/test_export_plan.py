"""What Argo CD and Flux are told of an environment."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.gitops.plan import argocd, exported, flux
from tasks.gitops.plan.exported import Exported
from tasks.gitops.plan.repository import over_ssh, public
from tasks.kube.manifests.plan import kustomize

KUBECTL = shutil.which("kubectl", path=f"{os.environ['PATH']}:{Path.home() / '.cache' / 'slipway' / 'bin'}")
API = {"StatefulSet": "apps/v1", "Deployment": "apps/v1", "Job": "batch/v1"}
ABOUT = Exported("prod", "shop", "shop-eu", "https://git.example.com/shop/shop.git", "deploy/prod")
OVERLAY = "overlays/prod"


def one(kind: str, name: str, wave: int | None = None, **spec: Any) -> dict[str, Any]:
    labels = {} if wave is None else {"labels": {"slipway/wave": str(wave)}}
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **labels}, "spec": spec}


MIGRATED = (
    one("StatefulSet", "db", 0),
    one("Job", "migrate-1", 1, activeDeadlineSeconds=900),
    one("Deployment", "app", 2, progressDeadlineSeconds=120),
)


def read(files: dict[str, str]) -> dict[str, Any]:
    return {path: yaml.safe_load(text) for path, text in files.items()}


def test_argo_cd_follows_the_branch_into_the_namespace_and_heals() -> None:
    made = argocd.application(ABOUT, OVERLAY)
    spec = made["spec"]
    assert made["metadata"] == {"name": "shop-prod", "namespace": "argocd"}
    assert spec["source"] == {"repoURL": ABOUT.address, "targetRevision": "deploy/prod", "path": OVERLAY}
    assert spec["destination"]["namespace"] == "shop-eu"
    assert spec["syncPolicy"]["automated"] == {"prune": True, "selfHeal": True}


@pytest.mark.parametrize(
    ("project", "name"), [("shop", "shop-prod"), ("shop-prod", "shop-prod"), ("My_Shop", "my-shop-prod")]
)
def test_two_environments_of_a_project_have_two_names(project: str, name: str) -> None:
    assert replace(ABOUT, project=project).name == name


def test_flux_waits_for_each_wave_before_it_begins_the_next() -> None:
    made = read(flux.files(ABOUT, MIGRATED, OVERLAY))
    specs = [made[f"flux/prod/shop-prod-{number}.yaml"]["spec"] for number in (0, 1, 2)]
    assert [spec.get("dependsOn") for spec in specs] == [None, [{"name": "shop-prod-0"}], [{"name": "shop-prod-1"}]]
    assert [spec["path"] for spec in specs] == [f"./waves/prod/{number}" for number in (0, 1, 2)]
    assert all(spec["wait"] and spec["prune"] and spec["targetNamespace"] == "shop-eu" for spec in specs)
    assert [spec["timeout"] for spec in specs] == ["360s", "960s", "360s"], "a job says itself when it has failed"
    only = made["waves/prod/1/kustomization.yaml"]
    assert only["resources"] == ["../../../overlays/prod"]
    assert only["patches"][0]["target"] == {"labelSelector": "slipway/wave!=1"}
    assert [len(made[f"waves/prod/{number}/kustomization.yaml"]["patches"]) for number in (0, 1, 2)] == [1, 2, 1]


@pytest.mark.skipif(not KUBECTL, reason="no kubectl here")
def test_a_wave_has_its_own_objects_only_and_its_job_stays(tmp_path: Path) -> None:
    objects = [{**one, "apiVersion": API[one["kind"]]} for one in MIGRATED]
    objects[1]["spec"] = {**objects[1]["spec"], "ttlSecondsAfterFinished": 86400}
    for path, text in {**kustomize.files({"prod": objects}), **flux.files(ABOUT, objects, OVERLAY)}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    def built(path: str) -> list[Any]:
        done = subprocess.run([str(KUBECTL), "kustomize", path], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return list(yaml.safe_load_all(done.stdout))

    waves = [built(f"waves/prod/{number}") for number in (0, 1, 2)]
    assert [[one["kind"] for one in wave] for wave in waves] == [["StatefulSet"], ["Job"], ["Deployment"]]
    assert waves[1][0]["spec"] == {"activeDeadlineSeconds": 900}, "else it would run again each day"
    (job,) = [one for one in built(OVERLAY) if one["kind"] == "Job"]
    assert job["spec"]["ttlSecondsAfterFinished"] == 86400


def test_flux_gets_one_kustomization_where_there_are_no_waves() -> None:
    made = read(flux.files(ABOUT, [one("Deployment", "app"), one("Service", "app")], OVERLAY))
    assert sorted(made) == ["flux/prod/shop-prod.yaml", "flux/prod/source.yaml"]
    assert made["flux/prod/shop-prod.yaml"]["spec"]["path"] == "./overlays/prod"


def test_flux_verifies_commits_that_have_to_be_signed() -> None:
    source = "flux/prod/source.yaml"
    assert "verify" not in read(flux.files(ABOUT, MIGRATED, OVERLAY))[source]["spec"]
    spec = read(flux.files(replace(ABOUT, signed=True), MIGRATED, OVERLAY))[source]["spec"]
    assert spec["verify"] == {"mode": "HEAD", "secretRef": {"name": "shop-prod-signers"}}


def test_flux_reads_an_address_of_ssh_with_a_key_from_a_secret() -> None:
    made = read(flux.files(replace(ABOUT, address="git@git.example.com:shop/shop.git"), MIGRATED, OVERLAY))
    spec = made["flux/prod/source.yaml"]["spec"]
    assert spec["url"] == "ssh://git@git.example.com/shop/shop.git"
    assert spec["secretRef"] == {"name": "shop-prod-git"}


def test_flux_reads_a_tag_of_a_registry_and_verifies_what_it_stands_for() -> None:
    about = replace(ABOUT, address="oci://registry.example.com/deploys/shop", revision="prod")
    made = read(flux.files(about, MIGRATED, OVERLAY))
    assert made["flux/prod/source.yaml"]["kind"] == "OCIRepository"
    assert made["flux/prod/source.yaml"]["spec"] == {
        "interval": "1m",
        "url": "oci://registry.example.com/deploys/shop",
        "ref": {"tag": "prod"},
    }
    sources = [made[f"flux/prod/shop-prod-{number}.yaml"]["spec"]["sourceRef"] for number in (0, 1, 2)]
    assert sources == [{"kind": "OCIRepository", "name": "shop-prod"}] * 3
    more = replace(about, signed=True, login="registry-login", plain=True)
    spec = read(flux.files(more, MIGRATED, OVERLAY))["flux/prod/source.yaml"]["spec"]
    assert spec["verify"] == {"provider": "cosign", "secretRef": {"name": "shop-prod-signers"}}
    assert (spec["secretRef"], spec["insecure"]) == ({"name": "registry-login"}, True)


def test_flux_reads_no_directory() -> None:
    assert flux.files(replace(ABOUT, address="file:///srv/shop.git"), MIGRATED, OVERLAY) == {}


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://ann:t0p-s3cret@git.example.com/shop.git", "https://git.example.com/shop.git"),
        ("ssh://git:t0p-s3cret@git.example.com:2222/shop.git", "ssh://git@git.example.com:2222/shop.git"),
        ("ssh://git@git.example.com/shop.git", "ssh://git@git.example.com/shop.git"),
        ("git@git.example.com:shop.git", "git@git.example.com:shop.git"),
        ("/srv/shop.git", "file:///srv/shop.git"),
    ],
)
def test_no_password_of_an_address_is_exported(address: str, said: str) -> None:
    assert public(address) == said


def test_only_an_address_like_that_of_scp_is_rewritten() -> None:
    assert over_ssh("deploy@git.example.com:/srv/shop.git") == "ssh://deploy@git.example.com/srv/shop.git"
    assert over_ssh("https://git.example.com/shop.git") == "https://git.example.com/shop.git"


def test_flux_keeps_a_claim_that_nothing_names_any_more() -> None:
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "d", "annotations": {"a": "b"}}}
    notes = flux.kept(claim)["metadata"]["annotations"]
    assert notes == {"a": "b", "kustomize.toolkit.fluxcd.io/prune": "disabled"}
    assert flux.kept(MIGRATED[0]) is MIGRATED[0]


def test_a_file_without_a_mark_is_of_somebody_else() -> None:
    files = {"a.yaml": exported.text({"a": 1}), "README": "mine\n", "b.yaml": "# Other\n"}
    assert exported.foreign(files, (exported.MARK, "# Other")) == ("README",)


def test_a_message_says_what_is_deployed_and_what_it_was_made_from() -> None:
    assert exported.message("prod", "shop", "1.4.3", "abc") == "Deploy prod: shop 1.4.3\n\nSource: abc\n"
    assert exported.message("prod", "shop", "1.4.3", "") == "Deploy prod: shop 1.4.3\n"
