"""The connection to an engine over SSH."""

import pytest

from tasks.model.ssh import dial, forward, reach


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


def test_a_port_of_the_host_is_reached_by_the_same_login() -> None:
    assert reach("ssh://deploy@staging:2222", 9090).argv[6:] == (
        "-W", "127.0.0.1:9090", "-l", "deploy", "-p", "2222", "--", "staging",
    )  # fmt: skip


def test_ports_of_the_host_become_ports_of_this_machine() -> None:
    assert forward("ssh://staging", (9090, 9093)).argv == (
        "ssh", "-N", "-L", "127.0.0.1:9090:127.0.0.1:9090", "-L", "127.0.0.1:9093:127.0.0.1:9093", "--", "staging",
    )  # fmt: skip
