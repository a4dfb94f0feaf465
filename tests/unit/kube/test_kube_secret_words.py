"""Secrets in the words that start a service and check its health: the container has them as variables."""

from kube_data import container_of, expanded, shown, translation

SERVICE = {
    "image": "redis",
    "command": ["redis-server", "--requirepass", "${slipway:PW}", "$$(x)"],
    "healthcheck": {"test": ["CMD-SHELL", "redis-cli -a ${slipway:PW} ping"]},
}


def test_kubernetes_puts_a_secret_into_the_command() -> None:
    container = container_of(translation({"cache": SERVICE}), "cache")
    (entry,) = container["env"]
    assert entry["valueFrom"] == {"secretKeyRef": {"name": "shop-secrets", "key": "PW"}}
    words = [expanded(word, **{entry["name"]: "p"}) for word in container["args"]]
    assert words == ["redis-server", "--requirepass", "p", "$(x)"]


def test_the_shell_puts_a_secret_into_the_check() -> None:
    container = container_of(translation({"cache": SERVICE}), "cache")
    assert container["readinessProbe"]["exec"]["command"] == [
        "/bin/sh",
        "-c",
        'redis-cli -a "${SLIPWAY_SECRET_PW}" ping',
    ]


def test_no_placeholder_is_left() -> None:
    assert "${slipway:" not in shown(translation({"cache": SERVICE}))
