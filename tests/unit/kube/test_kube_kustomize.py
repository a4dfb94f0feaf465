"""A base and overlays: what environments share, how they differ, and that nothing depends on their order."""

import itertools
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.kube.manifests.plan.kustomize import environments_in, file_name, files
from tasks.kube.manifests.plan.overlays import applied, difference, identity, shared

BINARIES = Path.home() / ".cache" / "slipway" / "bin"


def deployment(name: str = "web", image: str = "web:1", **fields: Any) -> dict[str, Any]:
    container = {"name": name, "image": image, "env": [{"name": "LEVEL", "value": "info"}]}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template, **fields}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def config(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def by_identity(objects: Any) -> dict[str, Any]:
    return {identity(one): one for one in objects}


def test_a_single_environment_is_its_base() -> None:
    made = files({"prod": [deployment()]})
    assert sorted(made) == ["base/deployment-web.yaml", "base/kustomization.yaml", "overlays/prod/kustomization.yaml"]
    assert yaml.safe_load(made["overlays/prod/kustomization.yaml"])["resources"] == ["../../base"]
    assert yaml.safe_load(made["base/deployment-web.yaml"]) == deployment()


def test_an_overlay_says_what_an_environment_has_for_itself() -> None:
    made = files({"prod": [deployment(image="web:2", replicas=3), config("a")], "staging": [deployment(image="web:3")]})
    base = yaml.safe_load(made["base/deployment-web.yaml"])
    assert base["spec"]["template"]["spec"]["containers"] == [
        {"name": "web", "env": [{"name": "LEVEL", "value": "info"}]}
    ]
    assert yaml.safe_load(made["overlays/prod/patch-deployment-web.yaml"]) == [
        {"op": "add", "path": "/spec/template/spec/containers/0/image", "value": "web:2"},
        {"op": "add", "path": "/spec/replicas", "value": 3},
    ]
    assert yaml.safe_load(made["overlays/prod/kustomization.yaml"])["resources"] == ["../../base", "configmap-a.yaml"]


def test_the_order_in_which_environments_are_rendered_changes_no_byte() -> None:
    environments = {
        "prod": [deployment(image="web:2"), config("a", x="1")],
        "qa": [deployment(image="web:3"), config("a", x="2", y="{{ z }}")],
        "dev": [deployment(replicas=1), config("b", **{"a/b~c": "on"})],
    }
    expected = files(environments)
    for order in itertools.permutations(environments):
        made: dict[str, str] = {}
        for name in order:
            made = files({**environments_in(made, yaml.safe_load), name: environments[name]})
        assert made == expected


def test_an_environment_that_is_rendered_again_leaves_the_others_what_they_are() -> None:
    first = files({"prod": [deployment(image="web:2")], "qa": [deployment(image="web:3")]})
    again = files({**environments_in(first, yaml.safe_load), "qa": [deployment("other")]})
    assert environments_in(again, yaml.safe_load) == {"prod": [deployment(image="web:2")], "qa": [deployment("other")]}


LEAF = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a", "1"])
TREE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab/~"), inner, max_size=3)
)


@given(st.lists(st.dictionaries(st.sampled_from(["spec", "data"]), TREE), min_size=1, max_size=4))
@example([{"spec": {"a": {"b": False}}}, {"spec": {"a": {"b": 0}}}])  # which Python takes for equal
def test_base_and_patch_make_the_object(several: list[dict[str, Any]]) -> None:
    objects = [{**config("a"), **fields} for fields in several]
    (base,) = shared([[one] for one in objects])
    for one in objects:
        made = applied(base, difference(base, one))
        assert json.dumps(made, sort_keys=True) == json.dumps(one, sort_keys=True)


def test_a_patch_that_is_not_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="remove"):
        applied(config("a"), [{"op": "remove", "path": "/data"}])


def test_an_object_of_another_version_is_another_object() -> None:
    other = {**deployment(), "apiVersion": "apps/v2"}
    made = files({"prod": [deployment()], "qa": [other]})
    assert environments_in(made, yaml.safe_load) == {"prod": [deployment()], "qa": [other]}


def test_a_long_name_still_is_the_name_of_a_file() -> None:
    assert len(file_name(config("a" * 253))) < 255
    assert file_name(config("a" * 253)) != file_name(config("a" * 252 + "b"))


@pytest.mark.skipif(not (BINARIES / "kubectl").exists() and not shutil.which("kubectl"), reason="no kubectl here")
def test_kubectl_builds_the_objects_from_the_directory(tmp_path: Path) -> None:
    odd = {
        "a": "1e3",
        "b": "on",
        "c": " x\n\ty\n\n",
        "d": "a\r\n\u2028\x07",
        "e": "{{ .Values }}",
        "f": "\n a\n",
        "0": "-",
    }
    environments = {
        "prod": [deployment(image="web:2", replicas=3), config("a", **odd)],
        "qa": [deployment(image="web:3"), config("a", **{**odd, "e": "$(A)"}), config("only", x="y")],
    }
    for name, text in files(environments).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    kubectl = shutil.which("kubectl") or str(BINARIES / "kubectl")
    for name, objects in environments.items():
        overlay = str(tmp_path / "overlays" / name)
        done = subprocess.run([kubectl, "kustomize", overlay], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert by_identity(yaml.safe_load_all(done.stdout)) == by_identity(objects)
