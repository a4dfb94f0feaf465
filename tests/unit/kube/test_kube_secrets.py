"""Secrets of a service on Kubernetes: files with their bytes, and no value in any object."""

import base64

from kube_data import container_of, kube_source, pod_of, shown, told, translation, volumes_of

from tasks.kube.plan.secrets import SecretOrigin, by_hand, secret_name, wanted
from tasks.kube.plan.source import HostFile, ImageFacts

VALUE = "planted-Secret-4711"
FILES = {"/p/a": HostFile("file", {"": VALUE.encode()}), "/p/b": HostFile("file", {"": b"\x00\xff"})}
SECRETS = {"secret1": {"name": "shop_secret1", "file": "/p/a"}, "secret2": {"name": "shop_secret2", "file": "/p/b"}}


def entry(source: str, **fields: object) -> dict[str, object]:
    return {"source": source, "target": f"/run/secrets/{source}", **fields}


def test_each_secret_is_a_file_of_one_volume() -> None:
    made = translation(
        {"web": {"image": "x", "secrets": [entry("secret1"), entry("secret2")]}}, secrets=SECRETS, files=FILES
    )
    assert volumes_of(made) == {
        "secrets": {
            "projected": {
                "defaultMode": 0o444,
                "sources": [
                    {
                        "secret": {
                            "name": "shop-secrets",
                            "items": [{"key": "secret1", "path": "secret1"}, {"key": "secret2", "path": "secret2"}],
                        }
                    }
                ],
            }
        }
    }
    assert container_of(made)["volumeMounts"] == [{"name": "secrets", "mountPath": "/run/secrets", "readOnly": True}]


def test_target_and_mode_of_the_long_syntax_are_honoured() -> None:
    made = translation(
        {
            "web": {
                "image": "x",
                "secrets": [entry("secret1", target="/etc/app/key", mode="0400"), entry("secret2", mode=288)],
            }
        },
        secrets=SECRETS,
    )
    (projected,) = volumes_of(made)["secrets"]["projected"]["sources"]
    first, second = projected["secret"]["items"]
    assert (first["key"], first["mode"]) == ("secret1", 0o400)
    assert second == {"key": "secret2", "path": "secret2", "mode": 0o440}
    assert container_of(made)["volumeMounts"] == [
        {"name": "secrets", "mountPath": "/etc/app/key", "subPath": first["path"], "readOnly": True},
        {"name": "secrets", "mountPath": "/run/secrets", "readOnly": True},
    ]


def test_a_relative_target_is_below_run_secrets() -> None:
    made = translation({"web": {"image": "x", "secrets": [entry("secret1", target="keys/one")]}}, secrets=SECRETS)
    (projected,) = volumes_of(made)["secrets"]["projected"]["sources"]
    assert projected["secret"]["items"] == [{"key": "secret1", "path": "keys/one"}]


def test_a_private_file_can_be_read_by_a_user_who_is_not_root() -> None:
    made = translation(
        {"web": {"image": "x", "user": "70:71", "secrets": [entry("secret1", mode="0400", uid="70")]}}, secrets=SECRETS
    )
    (projected,) = volumes_of(made)["secrets"]["projected"]["sources"]
    assert projected["secret"]["items"][0]["mode"] == 0o440
    assert pod_of(made)["securityContext"]["fsGroup"] == 71
    (outcome,) = told(made, "services.web.secrets.secret1")
    assert outcome.reason == "belongs to root; the container reads it as a member of group 71"


def test_an_owner_that_changes_nothing_is_reported() -> None:
    made = translation({"web": {"image": "x", "user": "70", "secrets": [entry("secret1", uid="70")]}}, secrets=SECRETS)
    (outcome,) = told(made, "services.web.secrets.secret1")
    assert (outcome.kind, outcome.reason) == (
        "ignored",
        "uid: the file belongs to root, and everybody in the container may read it",
    )
    assert "fsGroup" not in pod_of(made).get("securityContext", {})


def test_no_object_has_the_value_of_a_secret() -> None:
    made = translation({"web": {"image": "x", "secrets": [entry("secret1")]}}, secrets=SECRETS, files=FILES)
    assert VALUE not in shown(made)
    assert base64.b64encode(VALUE.encode()).decode() not in shown(made)


def test_an_external_secret_is_a_reference_to_one_that_exists() -> None:
    external = {"tls": {"name": "shop-tls", "external": True, "x-slipway": {"key": "tls.crt"}}}
    made = translation(
        {"web": {"image": "x", "secrets": [entry("tls"), entry("secret1")]}}, secrets={**SECRETS, **external}
    )
    sources = volumes_of(made)["secrets"]["projected"]["sources"]
    assert sources[0] == {"secret": {"name": "shop-tls", "items": [{"key": "tls.crt", "path": "tls"}]}}
    assert sources[1]["secret"]["name"] == "shop-secrets"
    (outcome,) = told(made, "services.web.secrets.tls")
    assert outcome.into == "Secret shop-tls, key tls.crt"


def test_what_the_secret_of_the_project_needs_is_known() -> None:
    secrets = {**SECRETS, "token": {"environment": "APP_TOKEN"}, "theirs": {"external": True}}
    source = kube_source(
        {
            "web": {"image": "x", "secrets": [entry("secret1"), entry("theirs")]},
            "db": {"image": "x", "secrets": [entry("token")], "environment": {"P": "${slipway:DB_PASSWORD}"}},
        },
        secrets=secrets,
    )
    assert {key: (origin.kind, origin.source) for key, origin in wanted(source).items()} == {
        "DB_PASSWORD": ("variable", "DB_PASSWORD"),
        "secret1": ("file", "/p/a"),
        "token": ("variable", "APP_TOKEN"),
    }


def test_the_secret_has_the_name_of_its_project() -> None:
    assert secret_name("My_Shop") == "my-shop-secrets"


def test_the_line_that_makes_it_by_hand_has_no_value_among_its_arguments() -> None:
    held = {
        "TOKEN": SecretOrigin("variable", "APP_TOKEN"),
        "key": SecretOrigin("file", "/p/my key"),
        "web.environment.PIN": SecretOrigin("model", "web.environment.PIN"),
    }
    assert by_hand("kubectl --namespace=n", "shop", held) == (
        "kubectl --namespace=n create secret generic shop-secrets "
        '--from-file=TOKEN=<(printf %s "$APP_TOKEN") '
        "--from-file=key='/p/my key' --from-file=web.environment.PIN=FILE "
        "--dry-run=client --output=yaml | kubectl --namespace=n apply --server-side --filename=-"
    )


def test_the_user_of_the_image_decides_when_the_compose_file_says_none() -> None:
    image = ImageFacts("x", user="app", uid=1000, gid=1001)
    made = translation(
        {"web": {"image": "x", "secrets": [entry("secret1", mode="0400")]}}, secrets=SECRETS, images={"web": image}
    )
    assert pod_of(made)["securityContext"]["fsGroup"] == 1001
