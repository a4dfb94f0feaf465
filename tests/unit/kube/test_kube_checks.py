"""Secrets in the commands of probes: the shell of this machine reads what Kubernetes would hand to it."""

import subprocess

import pytest
from kube_data import container_of, expanded, kube_source, told, translation

from tasks.kube.plan.data.checks import command, in_shell
from tasks.kube.plan.data.placeholders import variable
from tasks.kube.plan.outcome import REFUSED
from tasks.kube.plan.secrets import wanted
from tasks.kube.plan.source import ImageFacts

VALUE = 'it\'s "a" $x `y` \\ *'
PLACEHOLDER = "${slipway:PW}"


def said(words: list[str]) -> str:
    """Return what a command writes, which has the secret in its environment; Kubernetes expands no references."""
    run = subprocess.run(
        [expanded(word) for word in words],
        capture_output=True,
        text=True,
        check=True,
        env={variable("PW"): VALUE, "PATH": "/bin"},
    )
    return run.stdout


@pytest.mark.parametrize(
    "line",
    [
        f"printf %s {PLACEHOLDER}",
        f'printf %s "{PLACEHOLDER}"',
        f"printf %s '{PLACEHOLDER}'",
        f"true \\' && printf %s {PLACEHOLDER}",
        f'true "it\'s" && printf %s {PLACEHOLDER}',
    ],
)
def test_a_line_of_a_shell_has_the_value_as_one_word(line: str) -> None:
    assert said(["/bin/sh", "-c", in_shell(line)]) == VALUE


def test_a_command_with_a_secret_is_started_by_the_shell() -> None:
    made = command(["printf", "%s|%s|%s", f"a b{PLACEHOLDER}", "", "$$(x)"])
    assert made[:2] == ["/bin/sh", "-c"]
    assert said(made) == f"a b{VALUE}||$(x)"


def test_a_command_without_a_secret_is_what_it_was() -> None:
    assert [expanded(word) for word in command(["curl", "-f", "http://x/$$(date)", "a$$b"])] == [
        "curl",
        "-f",
        "http://x/$(date)",
        "a$b",
    ]


def test_the_container_has_the_secret_that_its_check_needs() -> None:
    check = {"test": ["CMD-SHELL", "redis-cli -a ${slipway:REDIS_PASSWORD} ping"]}
    web = container_of(translation({"web": {"image": "x", "healthcheck": check}}))
    assert [entry["name"] for entry in web["env"]] == ["SLIPWAY_SECRET_REDIS_PASSWORD"]
    line = 'redis-cli -a "${SLIPWAY_SECRET_REDIS_PASSWORD}" ping'
    assert web["readinessProbe"]["exec"]["command"] == ["/bin/sh", "-c", line]
    assert list(wanted(kube_source({"web": {"image": "x", "healthcheck": check}}))) == ["REDIS_PASSWORD"]


def test_a_probe_reads_the_value_that_kubernetes_puts_in_nowhere() -> None:
    for test in (["CMD-SHELL", f"printf %s '{PLACEHOLDER}'"], ["CMD", "printf", "%s", PLACEHOLDER]):
        web = container_of(translation({"web": {"image": "x", "healthcheck": {"test": test}}}))
        assert said(web["readinessProbe"]["exec"]["command"]) == VALUE


def test_a_command_with_a_secret_in_it_refers_to_the_containers_variable() -> None:
    words = ["serve", f"--password={PLACEHOLDER}", "$$(date)", "$${slipway:PW}"]
    for key, into in (("command", "args"), ("entrypoint", "command")):
        made = translation({"web": {"image": "x", key: words}})
        read = [expanded(word, **{variable("PW"): VALUE}) for word in container_of(made)[into]]
        assert read == ["serve", f"--password={VALUE}", "$(date)", "${slipway:PW}"]
        assert [entry["name"] for entry in container_of(made)["env"]] == [variable("PW")]


def test_a_check_of_words_with_a_secret_needs_a_shell_too() -> None:
    check = {"test": ["CMD", "redis-cli", "-a", PLACEHOLDER]}
    made = translation({"web": {"image": "x", "healthcheck": check}}, images={"web": ImageFacts(shell=False)})
    assert [said.kind for said in told(made, "services.web.healthcheck")] == [REFUSED]


def test_the_check_of_an_image_is_in_its_own_words() -> None:
    facts = ImageFacts(shell=True, health={"Test": ["CMD-SHELL", "test $$ -gt 1"]})
    made = translation({"web": {"image": "x"}}, images={"web": facts})
    assert expanded(container_of(made)["readinessProbe"]["exec"]["command"][2]) == "test $$ -gt 1"
