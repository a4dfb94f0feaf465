"""What a container runs."""

import pytest
from workload_release import container, outcomes, release

from tasks.kube.plan.data.expansion import literal
from tasks.kube.plan.outcome import IGNORED, REFUSED, TRANSLATED
from tasks.kube.plan.source import ImageFacts


def test_a_command_is_the_arguments_of_the_images_entrypoint() -> None:
    source = release(app={"image": "app", "command": ["serve", "--port", "80"], "entrypoint": None})
    assert container(source) == {"name": "app", "args": ["serve", "--port", "80"]}
    assert outcomes(source)["command"].into == "containers[].args"


def test_an_entrypoint_is_the_command_and_leaves_out_that_of_the_image() -> None:
    source = release({"app": ImageFacts(command=("usual",))}, app={"image": "app", "entrypoint": ["/bin/run", "-x"]})
    assert container(source) == {"name": "app", "command": ["/bin/run", "-x"]}


def test_both_are_command_and_arguments() -> None:
    source = release(app={"image": "app", "entrypoint": ["/bin/run"], "command": ["a", "b"]})
    assert container(source) == {"name": "app", "command": ["/bin/run"], "args": ["a", "b"]}


def test_an_empty_entrypoint_makes_the_command_the_whole() -> None:
    source = release(app={"image": "app", "entrypoint": [], "command": ["a", "b"]})
    assert container(source) == {"name": "app", "command": ["a", "b"]}
    assert outcomes(source)["command"].into == "containers[].command"


def test_an_empty_entrypoint_leaves_the_images_command() -> None:
    source = release({"app": ImageFacts(command=("python", "app.py"))}, app={"image": "app", "entrypoint": []})
    assert container(source) == {"name": "app", "command": ["python", "app.py"]}


def test_an_empty_entrypoint_without_any_command_is_refused() -> None:
    source = release(app={"image": "app", "entrypoint": []})
    assert container(source) == {"name": "app"}
    assert outcomes(source)["entrypoint"].kind == REFUSED


def test_an_empty_command_is_the_images_own() -> None:
    source = release(app={"image": "app", "command": []})
    assert container(source) == {"name": "app"}
    assert outcomes(source)["command"].kind == IGNORED


def test_numbers_and_booleans_stay_words() -> None:
    source = release(app={"image": "app", "command": [8080, True, "false", 1.5]})
    assert container(source)["args"] == ["8080", "true", "false", "1.5"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("$$(date)", "$$(date)"),  # of Compose: $(date)
        ("$$HOME", "$HOME"),
        ("a $$$$ b", "a $$$ b"),  # of Compose: a $$ b
        ("100%", "100%"),
    ],
)
def test_the_kubelet_reads_a_command_as_compose_does(written: str, read: str) -> None:
    source = release(app={"image": "app", "command": ["sh", "-c", written]})
    assert container(source)["args"][2] == read


@pytest.mark.parametrize("text", ["$(A)", "$$(A)", "$$", "$", "$$$", "$a", "$$a", "a$(", "$($(A))", "\\$(A)"])
def test_a_text_is_literal_after_the_kubelet_has_replaced_variables(text: str) -> None:
    assert expanded(literal(text), {"A": "replaced"}) == text


def expanded(text: str, variables: dict[str, str]) -> str:
    """Replace variables by the rules of Kubernetes' expansion: $(NAME), $$ is $, anything else stays."""
    result, at = "", 0
    while at < len(text):
        if text[at] == "$" and text[at + 1 : at + 2] == "$":
            result, at = result + "$", at + 2
        elif text[at] == "$" and text[at + 1 : at + 2] == "(" and ")" in text[at:]:
            end = text.index(")", at)
            name = text[at + 2 : end]
            result, at = result + variables.get(name, f"$({name})"), end + 1
        else:
            result, at = result + text[at], at + 1
    return result


def test_directory_and_terminal() -> None:
    source = release(app={"image": "app", "working_dir": "/srv", "tty": True, "stdin_open": True})
    assert container(source) == {"name": "app", "workingDir": "/srv", "tty": True, "stdin": True}
    assert {outcomes(source)[key].kind for key in ("working_dir", "tty", "stdin_open")} == {TRANSLATED}


def test_what_has_no_counterpart_is_named() -> None:
    source = release(app={"image": "app", "init": True, "logging": {"driver": "local"}, "attach": False, "tty": False})
    assert container(source) == {"name": "app"}
    assert {key: outcomes(source)[key].kind for key in ("init", "logging")} == {"init": IGNORED, "logging": IGNORED}
