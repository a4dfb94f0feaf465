"""Configs of a service on Kubernetes: the same bytes, under a name that changes with them."""

import base64

import pytest
from kube_data import container_of, kube_source, objects_of, told, translation, volumes_of, workload_of

from tasks.kube.plan.data.config_map import file_map
from tasks.kube.plan.secrets import wanted
from tasks.kube.plan.source import HostFile

TEXT = "a\n\n  b: $$X\n"


def mounted(*entries: dict[str, object]) -> dict[str, object]:
    return {"image": "x", "configs": [*entries]}


def test_an_inline_config_keeps_its_bytes() -> None:
    made = translation({"web": mounted({"source": "c"})}, configs={"c": {"name": "shop_c", "content": TEXT}})
    (config,) = objects_of(made, "ConfigMap")
    assert config["data"] == {"c": "a\n\n  b: $X\n"}
    assert config["immutable"] is True
    (volume,) = volumes_of(made).values()
    assert volume["configMap"] == {
        "name": config["metadata"]["name"],
        "defaultMode": 0o444,
        "items": [{"key": "c", "path": "c"}],
    }
    (mount,) = container_of(made)["volumeMounts"]
    assert (mount["mountPath"], mount["subPath"], mount["readOnly"]) == ("/c", "c", True)


@pytest.mark.parametrize(
    "data", [b"", b"no newline", b"\n\n", b"a" * 70_000 + b"\n", b"\r\n\t\x00", "ä\u2028".encode()]
)
def test_a_text_is_the_same_bytes_in_the_config_map(data: bytes) -> None:
    assert file_map("web", "/c", {"f": data}).object["data"]["f"].encode() == data


def test_what_is_no_utf8_is_binary_data() -> None:
    made = file_map("web", "/c", {"f": b"\xff\x00"}).object
    assert "data" not in made
    assert base64.b64decode(made["binaryData"]["f"]) == b"\xff\x00"


def test_the_name_changes_with_the_bytes_and_so_do_the_pods() -> None:
    first, second = (
        translation({"web": mounted({"source": "c"})}, configs={"c": {"content": text}}) for text in ("a", "b")
    )
    assert (
        objects_of(first, "ConfigMap")[0]["metadata"]["name"] != objects_of(second, "ConfigMap")[0]["metadata"]["name"]
    )
    assert workload_of(first, "web")["template"] != workload_of(second, "web")["template"]


def test_two_services_have_their_own_targets_and_modes() -> None:
    made = translation(
        {"web": mounted({"source": "c"}), "job": mounted({"source": "c", "target": "/etc/d", "mode": "0440"})},
        configs={"c": {"content": "x"}},
    )
    first, second = objects_of(made, "ConfigMap")
    assert first["data"] == second["data"]
    # Each has its own: a job may need it before the other service is there.
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert container_of(made, "job")["volumeMounts"][0]["mountPath"] == "/etc/d"
    (volume,) = volumes_of(made, "job").values()
    assert volume["configMap"]["defaultMode"] == 0o440


def test_one_service_may_mount_a_config_twice() -> None:
    made = translation(
        {"web": mounted({"source": "c", "target": "/a"}, {"source": "c", "target": "/b"})},
        configs={"c": {"content": "x"}},
    )
    assert len({config["metadata"]["name"] for config in objects_of(made, "ConfigMap")}) == 2
    assert [mount["mountPath"] for mount in container_of(made)["volumeMounts"]] == ["/a", "/b"]


def test_a_config_from_a_file_has_its_bytes() -> None:
    made = translation(
        {"web": mounted({"source": "c", "target": "/etc/c"})},
        configs={"c": {"file": "/p/c"}},
        files={"/p/c": HostFile("file", {"": b"$HOME stays\n"})},
    )
    assert objects_of(made, "ConfigMap")[0]["data"] == {"c": "$HOME stays\n"}


def test_a_config_that_is_too_large_is_refused() -> None:
    made = translation({"web": mounted({"source": "c"})}, configs={"c": {"content": "x" * (1 << 20) + "y"}})
    (refusal,) = told(made, "services.web.configs.c", ["refused"])
    assert (refusal.reason, refusal.hint) == (
        "1048577 bytes, and a ConfigMap has 1048576 at most",
        "put it into the image",
    )
    assert objects_of(made, "ConfigMap") == []


def test_a_config_with_a_secret_in_it_is_refused() -> None:
    made = translation({"web": mounted({"source": "c"})}, configs={"c": {"content": "password=${slipway:DB_PASSWORD}"}})
    (refusal,) = told(made, "services.web.configs.c", ["refused"])
    assert refusal.reason == "a secret is part of its content, and everybody may read a ConfigMap"
    assert objects_of(made, "ConfigMap") == []


def test_a_config_of_a_variable_comes_from_the_secret_of_the_project() -> None:
    services, configs = {"web": mounted({"source": "c", "target": "/c"})}, {"c": {"environment": "APP_CONFIG"}}
    (volume,) = volumes_of(translation(services, configs=configs)).values()
    assert volume["secret"] == {
        "secretName": "shop-secrets",
        "defaultMode": 0o444,
        "items": [{"key": "APP_CONFIG", "path": "c"}],
    }
    assert wanted(kube_source(services, configs=configs))["APP_CONFIG"].source == "APP_CONFIG"


def test_an_external_config_is_a_reference() -> None:
    made = translation({"web": mounted({"source": "c"})}, configs={"c": {"name": "theirs", "external": True}})
    assert objects_of(made, "ConfigMap") == []
    (outcome,) = told(made, "services.web.configs.c")
    assert outcome.into == "ConfigMap theirs"


def test_a_config_that_names_the_dns_server_of_docker_is_refused() -> None:
    made = translation({"web": mounted({"source": "c"})}, configs={"c": {"content": "resolver 127.0.0.11;"}})
    (refusal,) = told(made, "services.web.configs.c", ["refused"])
    assert refusal.reason == "c: 127.0.0.11 is Docker's DNS server, which Kubernetes has not"
    assert refusal.accept == "KUBE-DOCKER-DNS"
