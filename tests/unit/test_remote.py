"""What connects to an engine over SSH."""

import pytest

from tasks.plan.remote import dial


@pytest.mark.parametrize(
    ("target", "login", "host"),
    [
        ("ssh://deploy@staging.example.com", ["-l", "deploy"], "staging.example.com"),
        ("ssh://Staging", [], "Staging"),
        ("ssh://deploy@[2001:db8::1]:2222", ["-l", "deploy", "-p", "2222"], "2001:db8::1"),
        ("ssh://staging:22/", ["-p", "22"], "staging"),
    ],
)
def test_an_address_is_dialled_as_the_docker_command_does(target: str, login: list[str], host: str) -> None:
    words = list(dial(target).argv)
    assert words[:2] == ["ssh", "-T"]
    assert words[6:] == [*login, "--", host, "docker", "system", "dial-stdio"]


def test_a_path_names_the_socket_there() -> None:
    assert dial("ssh://staging/run/user/1000/docker.sock").argv[-4:] == (
        "--host", "unix:///run/user/1000/docker.sock", "system", "dial-stdio",
    )  # fmt: skip
