"""What a container may do: user, capabilities, confinement, and what it shares with its host."""

from typing import Any

import pytest
from outside import by_key, source

from tasks.kube.plan.confinement.security import capabilities, part
from tasks.kube.plan.part import Part
from tasks.kube.plan.source import ImageFacts

HARDENED = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
ORDINARY = ImageFacts(user="65532:65532", uid=65532, gid=65532)
ROOT = ImageFacts(uid=0, gid=0)


def security(image: ImageFacts | None = None, **fields: Any) -> Part:
    found = source({"web": fields}, images={"web": image} if image else {})
    return part(found, found.stack.services["web"])


def container(found: Part) -> dict[str, Any]:
    return dict(found.container.get("securityContext", {}))


def pod(found: Part) -> dict[str, Any]:
    return dict(found.pod.get("securityContext", {}))


def test_a_hardened_service_is_what_pod_security_restricted_asks_for() -> None:
    found = security(ORDINARY, **HARDENED)
    assert container(found) == {
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "allowPrivilegeEscalation": False,
    }
    assert pod(found) == {
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert {key: outcome.kind for key, outcome in by_key(found).items()} == {
        "user": "inferred",
        "cap_drop": "translated",
        "security_opt.no-new-privileges": "translated",
        "security_opt.seccomp": "inferred",
        "read_only": "translated",
    }


def test_a_service_of_an_ordinary_user_that_says_nothing_is_confined_too() -> None:
    found = security(ORDINARY)
    assert container(found) == {"capabilities": {"drop": ["ALL"]}, "allowPrivilegeEscalation": False}
    assert {outcome.kind for outcome in found.outcomes} == {"inferred"}


@pytest.mark.parametrize("image", [ROOT, None])
def test_a_service_of_root_keeps_what_docker_gives_it(image: ImageFacts | None) -> None:
    found = security(image)
    assert container(found) == {}
    assert pod(found) == {"seccompProfile": {"type": "RuntimeDefault"}}


def test_set_user_id_programs_are_kept_on_request() -> None:
    found = security(ORDINARY, security_opt=["no-new-privileges:false"])
    assert container(found)["allowPrivilegeEscalation"] is True


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("65532:65532", {"runAsUser": 65532, "runAsGroup": 65532, "runAsNonRoot": True}),
        ("5050", {"runAsUser": 5050, "runAsNonRoot": True}),
        ("999", {"runAsUser": 999, "runAsGroup": 998, "runAsNonRoot": True}),
        ("0:0", {"runAsUser": 0, "runAsGroup": 0}),
        ("root", {"runAsUser": 0, "runAsGroup": 0}),
        ("postgres", {"runAsUser": 999, "runAsGroup": 998, "runAsNonRoot": True}),
        ("postgres:postgres", {"runAsUser": 999, "runAsGroup": 998, "runAsNonRoot": True}),
        ("postgres:1000", {"runAsUser": 999, "runAsGroup": 1000, "runAsNonRoot": True}),
        ("1000:root", {"runAsUser": 1000, "runAsGroup": 0, "runAsNonRoot": True}),
    ],
)
def test_a_user_is_its_numbers(user: str, expected: dict[str, Any]) -> None:
    found = security(ImageFacts(uid=0, gid=0, users={"root": (0, 0), "postgres": (999, 998)}), user=user)
    seccomp = {"seccompProfile": {"type": "RuntimeDefault"}}
    assert pod(found) == {**expected, **seccomp}
    assert by_key(found)["user"].kind == "translated"


@pytest.mark.parametrize(("user", "unknown"), [("nobody", "user nobody"), ("1000:staff", "group staff")])
def test_a_name_that_the_image_does_not_tell_is_refused(user: str, unknown: str) -> None:
    outcome = by_key(security(user=user))["user"]
    assert (outcome.kind, outcome.accept) == ("refused", "KUBE-USER")
    assert unknown in outcome.reason and "number" in outcome.hint


def test_each_capability_is_an_item() -> None:
    found = security(ROOT, cap_drop=["ALL"], cap_add=["NET_BIND_SERVICE", "CHOWN"])
    assert container(found) == {"capabilities": {"drop": ["ALL"], "add": ["CHOWN", "NET_BIND_SERVICE"]}}
    assert capabilities(["cap_chown", "CAP_SYS_TIME", "chown"]) == ["CHOWN", "SYS_TIME"]


def test_a_service_that_adds_capabilities_keeps_the_others() -> None:
    found = security(ORDINARY, cap_add=["NET_RAW"], cap_drop=["MKNOD"])
    assert container(found) == {"capabilities": {"drop": ["MKNOD"], "add": ["NET_RAW"]}}


def test_supplementary_groups_are_numbers() -> None:
    assert pod(security(ROOT, group_add=["2000", 1000]))["supplementalGroups"] == [1000, 2000]
    outcome = by_key(security(ROOT, group_add=["audio"]))["group_add"]
    assert (outcome.kind, outcome.accept) == ("refused", "KUBE-GROUPS") and "audio" in outcome.reason


@pytest.mark.parametrize(
    ("option", "context", "kind"),
    [
        ("seccomp:unconfined", {"seccompProfile": {"type": "Unconfined"}}, "translated"),
        ("seccomp=unconfined", {"seccompProfile": {"type": "Unconfined"}}, "translated"),
        ("seccomp:builtin", {"seccompProfile": {"type": "RuntimeDefault"}}, "translated"),
        ("seccomp:./profile.json", {"seccompProfile": {"type": "RuntimeDefault"}}, "refused"),
        ("apparmor:unconfined", {"appArmorProfile": {"type": "Unconfined"}}, "translated"),
        ("apparmor:docker-default", {"appArmorProfile": {"type": "RuntimeDefault"}}, "translated"),
        ("apparmor:web", {"appArmorProfile": {"type": "Localhost", "localhostProfile": "web"}}, "inferred"),
        ("label:type:svirt_apache_t", {"seLinuxOptions": {"type": "svirt_apache_t"}}, "translated"),
        ("label:level:s0:c100,c200", {"seLinuxOptions": {"level": "s0:c100,c200"}}, "translated"),
        ("label:disable", {}, "refused"),
        ("systempaths=unconfined", {}, "refused"),
    ],
)
def test_an_option_is_a_profile_of_the_pod_or_refused(option: str, context: dict[str, Any], kind: str) -> None:
    found = security(ROOT, security_opt=[option])
    assert pod(found) == {"seccompProfile": {"type": "RuntimeDefault"}, **context}
    (outcome,) = [outcome for key, outcome in by_key(found).items() if outcome.kind == kind and key in _key(option)]
    assert outcome.accept == ("KUBE-SECURITY-OPTIONS" if kind == "refused" else "")


def _key(option: str) -> str:
    return f"security_opt.{option}".replace("label:disable", "label:disable:")


def test_several_parts_of_a_label_are_one() -> None:
    found = security(ROOT, security_opt=["label:user:u", "label:role:r"])
    assert pod(found)["seLinuxOptions"] == {"user": "u", "role": "r"}


def test_a_writable_root_filesystem_may_be_said() -> None:
    assert container(security(ROOT, read_only=False)) == {"readOnlyRootFilesystem": False}


def test_known_sysctls_are_of_the_pod_and_others_are_refused() -> None:
    found = security(ROOT, sysctls={"net.core.somaxconn": "1024", "net.ipv4.tcp_syncookies": "0"})
    assert pod(found)["sysctls"] == [
        {"name": "net.core.somaxconn", "value": "1024"},
        {"name": "net.ipv4.tcp_syncookies", "value": "0"},
    ]
    outcomes = by_key(found)
    assert outcomes["sysctls.net.ipv4.tcp_syncookies"].kind == "translated"
    assert (outcomes["sysctls.net.core.somaxconn"].kind, outcomes["sysctls.net.core.somaxconn"].accept) == (
        "refused",
        "KUBE-SYSCTLS",
    )


LOW = [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]


@pytest.mark.parametrize(
    ("image", "fields", "expected"),
    [
        (ORDINARY, {"expose": ["80"]}, LOW),
        (ORDINARY, {"expose": ["8080"]}, []),
        (ImageFacts(uid=101, ports=("80/tcp",)), {}, LOW),
        (ROOT, {"expose": ["80"]}, []),
        (ROOT, {"expose": ["80"], "cap_drop": ["ALL"]}, LOW),
        (ROOT, {"expose": ["80"], "cap_drop": ["ALL"], "cap_add": ["NET_BIND_SERVICE"]}, []),
        (None, {"expose": ["80"]}, LOW),
        (ORDINARY, {"expose": ["80"], "sysctls": {LOW[0]["name"]: "80"}}, [{**LOW[0], "value": "80"}]),
    ],
)
def test_low_ports_stay_open_to_every_user_as_docker_has_it(
    image: ImageFacts | None, fields: dict[str, Any], expected: list[dict[str, str]]
) -> None:
    assert pod(security(image, **fields)).get("sysctls", []) == expected


def test_limits_of_processes_are_named() -> None:
    found = security(ROOT, ulimits={"nofile": {"soft": 1, "hard": 2}, "nproc": 5})
    assert {key: outcome.kind for key, outcome in by_key(found).items() if "ulimits" in key} == {
        "ulimits.nofile": "ignored",
        "ulimits.nproc": "ignored",
    }


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"devices": [{"source": "/dev/fuse", "target": "/dev/fuse", "permissions": "rwm"}]}, "KUBE-DEVICES"),
        ({"device_cgroup_rules": ["c 1:3 mr"]}, "KUBE-DEVICE-RULES"),
        ({"pid": "host"}, "KUBE-PID"),
        ({"pid": "service:db"}, "KUBE-PID"),
        ({"ipc": "host"}, "KUBE-IPC"),
        ({"uts": "host"}, "KUBE-UTS"),
        ({"cgroup": "host"}, "KUBE-CGROUP"),
        ({"userns_mode": "keep-id"}, "KUBE-USER-NAMESPACE"),
        ({"isolation": "hyperv"}, "KUBE-ISOLATION"),
        ({"credential_spec": {"file": "a.json"}}, "KUBE-CREDENTIALS"),
        ({"privileged": True}, "KUBE-PRIVILEGED"),
    ],
)
def test_what_reaches_for_the_host_is_refused_unless_accepted(fields: dict[str, Any], word: str) -> None:
    (key,) = fields
    outcome = by_key(security(ROOT, **fields))[key]
    assert (outcome.kind, outcome.accept) == ("refused", word)
    assert outcome.reason and outcome.hint


def test_a_socket_of_the_engine_can_not_be_accepted() -> None:
    outcome = by_key(security(ROOT, use_api_socket=True))["use_api_socket"]
    assert (outcome.kind, outcome.accept) == ("refused", "")


def test_an_accepted_privilege_is_rendered_without_what_contradicts_it() -> None:
    found = security(ROOT, privileged=True, security_opt=["no-new-privileges:true", "seccomp:unconfined"])
    assert container(found) == {"privileged": True} and pod(found) == {}
    assert by_key(found)["security_opt.no-new-privileges"].kind == "ignored"
    assert security(ROOT, pid="host", ipc="host").pod["hostPID"] is True
    assert security(ROOT, pid="host", ipc="host").pod["hostIPC"] is True


def test_a_namespace_of_its_own_is_what_a_pod_has() -> None:
    outcomes = by_key(security(ROOT, ipc="private", cgroup="private", cgroup_parent="a"))
    assert {key: outcome.kind for key, outcome in outcomes.items() if not key.startswith("security_opt")} == {
        "ipc": "ignored",
        "cgroup": "ignored",
        "cgroup_parent": "ignored",
    }


def test_another_runtime_is_a_runtime_class() -> None:
    assert security(ROOT, runtime="runsc").pod["runtimeClassName"] == "runsc"
    assert "runtimeClassName" not in security(ROOT, runtime="runc").pod
    assert security(ROOT, userns_mode="host").pod["hostUsers"] is True
