"""What a translation starts from: names of images by digest, secret variables."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_project import FakeProject
from fakes import World
from support import profile

from tasks.kube import gather
from tasks.kube.gather import settings, stack_with_images, with_copies, with_images
from tasks.kube.plan.source import ImageFacts
from tasks.kube.sources.image_facts import pinned
from tasks.model.errors import InputError
from tasks.model.stack.stack import parse

DIGEST = f"sha256:{'a' * 64}"


def test_an_image_is_pinned_by_the_digest_of_its_own_registry() -> None:
    raw = {"RepoDigests": [f"other.example.com/web@sha256:{'b' * 64}", f"registry.example.com/web@{DIGEST}"]}
    assert pinned("registry.example.com/web:1", raw) == f"registry.example.com/web@{DIGEST}"


def test_an_image_of_docker_hub_is_pinned_however_it_is_spelled() -> None:
    assert (
        pinned("docker.io/library/nginx:1", {"RepoDigests": [f"nginx@{DIGEST}"]}) == f"docker.io/library/nginx@{DIGEST}"
    )


def test_an_image_that_is_pinned_stays_so() -> None:
    name = f"registry.example.com/web@sha256:{'c' * 64}"
    assert pinned(name, {"RepoDigests": [f"registry.example.com/web@{DIGEST}"]}) == name


def test_an_image_that_was_never_in_its_registry_keeps_its_tag() -> None:
    assert pinned("shop/web:1", {"RepoDigests": []}) == "shop/web:1"


def test_a_model_gets_other_names_of_images() -> None:
    model = {"name": "shop", "services": {"web": {"image": "web:1", "user": "1"}, "db": {"image": "db:1"}}}
    assert with_images(model, {"web": "web@x"}) == {
        "name": "shop",
        "services": {"web": {"image": "web@x", "user": "1"}, "db": {"image": "db:1"}},
    }


def test_the_parsed_model_has_the_names_that_the_model_has() -> None:
    model = {
        "name": "shop",
        "services": {"web": {"image": "web:1", "user": "1"}, "db": {"image": "db", "build": {"context": "."}}},
    }
    names = {"web": f"web@{DIGEST}"}
    assert stack_with_images(parse(model), names) == parse(with_images(model, names))


@pytest.mark.parametrize("known", [{}, {"web": ImageFacts("web:1", shell=False)}])
def test_an_image_that_is_built_first_is_taken_to_have_the_sources_that_are_mounted(
    known: dict[str, ImageFacts], tmp_path: Path
) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "main.py").write_text("1")
    mount = {"type": "bind", "source": f"{tmp_path}/web", "target": "/code"}
    model = {"services": {"web": {"build": {"context": f"{tmp_path}/web"}, "volumes": [mount]}}}
    project: Any = SimpleNamespace(settings=SimpleNamespace(project_dir=tmp_path))

    found = with_copies(project, model, known, ["web"])["web"]

    assert found.copies == {"/code"}
    assert found.shell == (not known)


def test_settings_are_those_of_the_profile() -> None:
    said = settings(
        profile(KUBE_NAMESPACE="shop", KUBE_PULL_SECRETS="one,two", HEALTH_TIMEOUT="2m", SECRET_KEYS="A", A="x")
    )
    assert (said.namespace, said.pull_secrets, said.health_timeout) == ("shop", ("one", "two"), 120.0)
    assert (said.storage_class, said.volume_size, said.secret_keys) == ("", "", ("A",))
    assert said.node_timeout is None
    assert settings(profile(KUBE_NODE_TIMEOUT="1m30s")).node_timeout == 90.0
    assert settings(profile(KUBE_NODE_TIMEOUT="0s")).node_timeout == 0.0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("KUBE_NAMESPACE", "Shop"),
        ("KUBE_VOLUME_SIZE", "10 GB"),
        ("KUBE_NODE_TIMEOUT", "30"),
        ("HELM_REPOSITORY", "https://x"),
        ("ORCHESTRATOR", "swarm"),
    ],
)
def test_a_setting_that_no_cluster_takes_is_refused(key: str, value: str) -> None:
    with pytest.raises(InputError, match=key):
        profile(**{key: value})


def test_a_deploy_that_plans_twice_says_once_which_images_are_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project, known = FakeProject(World(), tmp_path), dict[str, ImageFacts]()
    project.files({"web": {"image": "shop/web:1"}, "db": {"image": "postgres:17"}})
    monkeypatch.setattr(gather, "facts", lambda *_: known)

    assert gather._images(project, project.stack, ()) == gather._images(project, project.stack, ()) == {}
    assert capsys.readouterr().err.count("not on the engine") == 1

    known["shop/web:1"] = ImageFacts(reference="shop/web@sha256:1")
    gather._images(project, project.stack, ())
    assert "not known: postgres:17" in capsys.readouterr().err, "another list is another note"
