"""Host paths of a service on Kubernetes: files of the project are copied, everything else is refused with a way out."""

import pytest
from kube_data import container_of, objects_of, told, translation, volumes_of, workload_of

from tasks.kube.plan.source import HostFile

CONF = HostFile("file", {"": b"events {}\n"})


def bind(source: str, target: str, **fields: object) -> dict[str, object]:
    return {"type": "bind", "source": source, "target": target, "bind": {"create_host_path": True}, **fields}


def web(*volumes: dict[str, object], **fields: object) -> dict[str, object]:
    return {"web": {"image": "x", "volumes": [*volumes], **fields}}


def test_a_file_of_the_project_is_a_config_map_mounted_as_a_single_file() -> None:
    entry = bind("/p/nginx.conf", "/etc/nginx/nginx.conf", read_only=True)
    made = translation(web(entry), files={"/p/nginx.conf": CONF})
    (config,) = objects_of(made, "ConfigMap")
    assert config["data"] == {"nginx.conf": "events {}\n"}
    (mount,) = container_of(made)["volumeMounts"]
    assert mount == {
        "name": mount["name"],
        "mountPath": "/etc/nginx/nginx.conf",
        "subPath": "nginx.conf",
        "readOnly": True,
    }
    assert volumes_of(made)[mount["name"]]["configMap"]["name"] == config["metadata"]["name"]


def test_pods_are_replaced_when_a_file_changes() -> None:
    entry = bind("/p/f", "/f", read_only=True)
    first, second = (translation(web(entry), files={"/p/f": HostFile("file", {"": data})}) for data in (b"a", b"b"))
    assert workload_of(first, "web")["template"] != workload_of(second, "web")["template"]


def test_a_directory_is_one_config_map_with_its_paths() -> None:
    files = {"nginx.conf": b"a", "sites/a.conf": b"b", "sites.a.conf": b"c", "logo.png": b"\x89\xff"}
    made = translation(
        web(bind("/p/conf", "/etc/nginx/conf", read_only=True)), files={"/p/conf": HostFile("directory", files)}
    )
    (config,) = objects_of(made, "ConfigMap")
    assert list(config["binaryData"]) == ["logo.png"]
    (volume,) = volumes_of(made).values()
    items = {item["path"]: item["key"] for item in volume["configMap"]["items"]}
    assert set(items) == set(files)
    assert len(set(items.values())) == len(files)
    assert config["data"][items["sites/a.conf"]] == "b"
    assert container_of(made)["volumeMounts"][0]["mountPath"] == "/etc/nginx/conf"


def test_a_script_can_be_run() -> None:
    made = translation(web(bind("/p/run.sh", "/run.sh", read_only=True)), files={"/p/run.sh": CONF})
    (volume,) = volumes_of(made).values()
    assert volume["configMap"]["defaultMode"] == 0o555


def test_two_files_with_like_paths_are_two_volumes() -> None:
    made = translation(
        web(bind("/p/a", "/etc/a-b", read_only=True), bind("/p/a", "/etc/a/b", read_only=True)), files={"/p/a": CONF}
    )
    assert len(volumes_of(made)) == 2


def test_a_file_that_could_be_written_is_copied_and_reported() -> None:
    made = translation(web(bind("/p/f", "/etc/f")), files={"/p/f": CONF})
    (outcome,) = told(made, "services.web.volumes./etc/f")
    assert (outcome.kind, outcome.reason) == (
        "inferred",
        "read-only: the container can not write to /etc/f",
    )
    assert container_of(made)["volumeMounts"][0]["readOnly"] is True


@pytest.mark.parametrize(
    "there, fields, reason, accept",
    [
        (HostFile("socket"), {}, "/p/x is a socket of the machine: it leads to what runs there", ""),
        (
            HostFile("directory", tracked=False),
            {"read_only": True},
            "/p/x is outside of the project: nodes do not have it",
            "KUBE-HOST-PATH",
        ),
        (HostFile("missing"), {}, "/p/x does not exist", ""),
        (
            HostFile("directory", {"a": b"x" * (1 << 20), "b": b"y"}),
            {"read_only": True},
            "/p/x has 1048577 bytes, and a ConfigMap has 1048576 at most",
            "",
        ),
        (
            HostFile("directory", {"a": b"x"}),
            {},
            "the service may write into /p/x, and a ConfigMap is read-only",
            "KUBE-READ-ONLY",
        ),
    ],
)
def test_what_a_copy_can_not_replace_is_refused(
    there: HostFile, fields: dict[str, object], reason: str, accept: str
) -> None:
    made = translation(web(bind("/p/x", "/x", **fields)), files={"/p/x": there})
    (refusal,) = told(made, "services.web.volumes./x", ["refused"])
    assert (refusal.reason, refusal.accept) == (reason, accept)
    assert refusal.hint


def test_sources_that_the_image_is_built_from_are_not_mounted_over_it() -> None:
    # Not tracked: git ignores what a build left there.
    files = {"/p/app/src": HostFile("directory", {"main.go": b"x"}, tracked=False)}
    made = translation(web(bind("/p/app/src", "/src"), build={"context": "/p/app"}), files=files)
    (refusal,) = told(made, "services.web.volumes./src", ["refused"])
    assert refusal.reason == "/p/app/src is what the image is built from, mounted over it for development"
    assert refusal.accept == "KUBE-IN-IMAGE"
    assert "volumeMounts" not in container_of(made)
    made = translation(web(bind("/p/app/src", "/src"), build={"context": "/p/ap"}), files=files)
    assert told(made, "services.web.volumes./src", ["refused"])[0].accept == "KUBE-HOST-PATH"


@pytest.mark.parametrize("path", ["/var/run/docker.sock", "/run/containerd/containerd.sock"])
def test_the_socket_of_an_engine_is_refused_and_can_not_be_accepted(path: str) -> None:
    made = translation(web(bind(path, path)), files={path: HostFile("missing", tracked=False)})
    (refusal,) = told(made, f"services.web.volumes.{path}", ["refused"])
    assert refusal.accept == ""
    assert "volumes" not in workload_of(made, "web")["template"]["spec"]


def test_a_path_of_the_node_is_mounted_for_whoever_accepts_it() -> None:
    entry = bind("/var/log", "/logs", read_only=True)
    entry["bind"] = {"propagation": "rslave"}
    made = translation(web(entry), files={"/var/log": HostFile("directory", tracked=False)})
    (volume,) = volumes_of(made).values()
    assert volume == {"hostPath": {"path": "/var/log", "type": "Directory"}}
    (mount,) = container_of(made)["volumeMounts"]
    assert (mount["readOnly"], mount["mountPropagation"]) == (True, "HostToContainer")


def test_a_copy_that_kubectl_alone_can_not_apply_is_reported() -> None:
    made = translation(web(bind("/p/f", "/f", read_only=True)), files={"/p/f": HostFile("file", {"": b"x" * 260_000})})
    (outcome,) = told(made, "services.web.volumes./f")
    assert outcome.reason.startswith("too large for `kubectl apply` without --server-side")


def test_options_of_a_mount_of_the_host_are_reported() -> None:
    entry = bind("/p/f", "/f", read_only=True)
    entry["bind"] = {"selinux": "z"}
    made = translation(web(entry), files={"/p/f": CONF})
    (outcome,) = told(made, "services.web.volumes./f")
    assert outcome.reason == "selinux: z: a ConfigMap is no mount of the host"


def test_an_empty_directory_is_reported() -> None:
    made = translation(web(bind("/p/d", "/d", read_only=True)), files={"/p/d": HostFile("directory")})
    (outcome,) = told(made, "services.web.volumes./d")
    assert outcome.reason == "/p/d is empty, and so is the directory in the container"


def test_the_dns_server_of_docker_matters_to_a_proxy_only_until_its_start() -> None:
    files = {"/p/f": HostFile("file", {"": b"resolver 127.0.0.11 valid=1s;"})}
    entry = bind("/p/f", "/f", read_only=True)
    made = translation(web(entry, **{"x-slipway": {"proxy": {"kind": "nginx"}}}), files=files)
    assert [outcome.kind for outcome in told(made, "services.web.volumes./f")] == ["ignored"]
    made = translation(web(entry), files=files)
    assert [outcome.accept for outcome in told(made, "services.web.volumes./f")] == ["KUBE-DOCKER-DNS"]
