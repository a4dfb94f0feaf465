"""Why the engine or a database refused, from messages as Engine 26, Compose 2.26 and databases write them."""

import pytest
from support import stack

from tasks.model.stack.reasons import (
    DatabaseAge,
    Reason,
    databases,
    explain,
    networks_hint,
    port_hint,
    refused_login,
    volume_older_than_password,
)

PROGRESS = """ Network shop_default  Creating
 Network shop_default  Created
 Container shop-web-1  Creating
 Container shop-web-1  Created
 Container shop-web-1  Starting
"""
HASH = "86540d52891909679c04eeed902455d31bc968d070ea88a4581539a0596900af"


@pytest.mark.parametrize(
    ("output", "message", "hint"),
    [
        (
            "Error response from daemon: driver failed programming external connectivity on endpoint shop-web-1 "
            f"({HASH}): Bind for 0.0.0.0:80 failed: port is already allocated",
            "shop-web-1: Bind for 0.0.0.0:80 failed: port is already allocated",
            "free port 80",
        ),
        (
            "Error response from daemon: driver failed programming external connectivity on endpoint shop-web-1 "
            f"({HASH}): Error starting userland proxy: listen tcp4 127.0.0.1:8080: bind: address already in use",
            "shop-web-1: Error starting userland proxy: listen tcp4 127.0.0.1:8080: bind: address already in use",
            "free port 8080",
        ),
        (
            "Error response from daemon: failed to set up container networking: driver failed programming external "
            f"connectivity on endpoint shop-web-1 ({HASH}): failed to bind host port for 0.0.0.0:81:172.18.0.2:80/tcp: "
            "address already in use",
            "shop-web-1: failed to bind host port for 0.0.0.0:81:172.18.0.2:80/tcp: address already in use",
            "free port 81",
        ),
        (
            "Error response from daemon: pull access denied for shop/web, repository does not exist or may require "
            "'docker login': denied: requested access to the resource is denied",
            "pull access denied for shop/web, repository does not exist or may require 'docker login': denied: "
            "requested access to the resource is denied",
            "docker login",
        ),
        (
            "network shared declared as external, but could not be found",
            "network shared declared as external, but could not be found",
            "docker network create shared",
        ),
        ("Error response from daemon: network shared not found", "network shared not found", "network create shared"),
        ('external volume "data" not found', 'external volume "data" not found', "docker volume create data"),
        (
            "failed to create network shop_default: Error response from daemon: all predefined address pools have been "
            "fully subnetted",
            "failed to create network shop_default: all predefined address pools have been fully subnetted",
            "no addresses left",
        ),
        (
            "failed to create network shop_n: Error response from daemon: Pool overlaps with other one on this address "
            "space",
            "failed to create network shop_n: Pool overlaps with other one on this address space",
            "another subnet",
        ),
        ("Error response from daemon: No such image: web:1", "No such image: web:1", "build or pull web:1"),
        (
            "Error response from daemon: manifest for shop/web:9 not found: manifest unknown: manifest unknown",
            "manifest for shop/web:9 not found: manifest unknown: manifest unknown",
            "build or pull shop/web:9",
        ),
        (
            'Error response from daemon: invalid mount config for type "bind": bind source path does not exist: '
            "/no/dir",
            'invalid mount config for type "bind": bind source path does not exist: /no/dir',
            "make the directory",
        ),
        (
            'Error response from daemon: Conflict. The container name "/shop-db" is already in use by container '
            f'"{HASH}". You have to remove (or rename) that container to be able to reuse that name.',
            'the container name "shop-db" is already in use',
            "remove or rename",
        ),
        (
            "Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime "
            'create failed: runc create failed: unable to start container process: exec: "/no/program": stat '
            "/no/program: no such file or directory: unknown",
            'exec: "/no/program": stat /no/program: no such file or directory',
            "no such program",
        ),
        (
            ' web Error Get "https://registry.example/v2/": dial tcp: lookup registry.example\n'
            'Error response from daemon: Get "https://registry.example/v2/": dial tcp: lookup registry.example on '
            "10.0.0.1:53: no such host",
            'Get "https://registry.example/v2/": dial tcp: lookup registry.example on 10.0.0.1:53: no such host',
            "cannot be reached (registry.example)",
        ),
        (
            "Error response from daemon: invalid config for network shop_n: invalid endpoint settings:\n"
            "* invalid IPv4 address: 10.9.9.300\n"
            "* no configured subnet or ip-range contain the IP address 10.9.9.300",
            "invalid config for network shop_n: invalid endpoint settings: invalid IPv4 address: 10.9.9.300 no "
            "configured subnet or ip-range contain the IP address 10.9.9.300",
            "",
        ),
        (
            "Error response from daemon: Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
            "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
            "",
        ),
        (
            'service "migrate" didn\'t complete successfully: exit 3',
            'service "migrate" didn\'t complete successfully: exit 3',
            "",
        ),
        (
            "dependency failed to start: container shop-db-1 is unhealthy",
            "dependency failed to start: container shop-db-1 is unhealthy",
            "",
        ),
    ],
)  # fmt: skip
def test_the_engines_own_reason_comes_out_with_what_to_do(output: str, message: str, hint: str) -> None:
    reason = explain(f"{PROGRESS}{output}\n")
    assert reason.message == message
    assert hint in reason.hint
    assert bool(hint) == bool(reason.hint)


def test_what_compose_draws_on_a_terminal_is_no_reason() -> None:
    drawn = (
        "\x1b[1A\x1b[1B\x1b[0G\x1b[?25l[+] Running 1/2\n"
        " \x1b[32m✔\x1b[0m Network shop_default  \x1b[32mCreated\x1b[0m  0.1s\n"
        " \x1b[33m⠿\x1b[0m Container shop-web-1  Starting  0.2s\n\x1b[?25h"
    )
    assert explain(drawn) == Reason()
    assert explain(f"{drawn}Error response from daemon: No such image: a:1\n{drawn}").message == "No such image: a:1"


def test_without_an_error_message_nothing_is_explained() -> None:
    assert explain("") == Reason()
    assert explain(PROGRESS + 'time="2026-01-01T00:00:00Z" level=warning msg="a variable is not set"\n') == Reason()


def test_the_last_line_of_an_unknown_program_is_quoted() -> None:
    assert (
        explain("goose: running migration 3\ngoose: syntax error near SELEC\n").message
        == "goose: syntax error near SELEC"
    )


def test_a_taken_port_a_taken_name_and_missing_addresses_are_distinguished() -> None:
    assert explain("Error response from daemon: Bind for :::443 failed: port is already allocated").port == 443
    assert explain('The container name "/a" is already in use by container "b"').name == "a"
    text = "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network"
    assert explain(f"failed to create network x: Error response from daemon: {text}").networks


def test_the_container_that_publishes_a_port_is_named() -> None:
    assert port_hint(80, ["other-web-1"]).startswith("other-web-1 publishes port 80")
    assert "sport = :80" in port_hint(80, [])


def test_unused_networks_are_named_with_the_command_that_removes_them() -> None:
    assert networks_hint(["a_default", "b_default"]) == (
        "no container uses these networks: docker network rm a_default b_default"
    )
    many = networks_hint([f"n{number}" for number in range(31)])
    assert "n9 (and 21 more like them)" in many
    assert "default-address-pools" in networks_hint([])


# Logins

POSTGRES = (
    '2026-01-01 00:00:00.000 UTC [34] FATAL:  password authentication failed for user "app"',
    'pq: password authentication failed for user "app"',
    'failed to connect: server error: FATAL: password authentication failed for user "app" (SQLSTATE 28P01)',
)
OTHERS = {
    "mysql": "ERROR 1045 (28000): Access denied for user 'app'@'172.18.0.3' (using password: YES)",
    "redis": "WRONGPASS invalid username-password pair or user is disabled.",
    "mongo": "MongoServerError: Authentication failed.",
}


@pytest.mark.parametrize("line", POSTGRES)
def test_a_refused_login_is_recognised_in_the_log_of_the_client_and_of_the_server(line: str) -> None:
    login = refused_login(f"starting\n{line}\nexiting\n")
    assert login is not None
    assert "postgres" in login.kinds
    assert login.line.startswith('password authentication failed for user "app"')


@pytest.mark.parametrize("kind", OTHERS)
def test_refused_logins_of_other_databases_are_recognised(kind: str) -> None:
    login = refused_login(OTHERS[kind])
    assert login is not None
    assert kind in login.kinds


@pytest.mark.parametrize(
    "line",
    [
        "pymongo.errors.OperationFailure: Authentication failed., full error: {'ok': 0.0, 'code': 18}",
        'unable to authenticate using mechanism "SCRAM-SHA-1": (AuthenticationFailed) Authentication failed.',
    ],
)
def test_refused_logins_in_logs_of_mongo_clients_are_recognised(line: str) -> None:
    login = refused_login(line)
    assert login is not None
    assert login.kinds == ("mongo",)


@pytest.mark.parametrize(
    "line",
    [
        'relation "users" does not exist',
        "Access denied for user 'app'@'localhost' (using password: NO)",
        "user bob: Authentication failed",
        "connection refused",
    ],
)
def test_other_faults_are_no_refused_login(line: str) -> None:
    assert refused_login(line) is None


def model() -> object:
    return stack(
        {
            "store": {
                "image": "registry.example/postgres:17",
                "volumes": [{"type": "volume", "source": "data", "target": "/d"}],
            },
            "own": {
                "image": "shop/own", "x-slipway": {"role": "database"},
                "volumes": [{"type": "volume", "source": "data", "target": "/d"}],
            },
            "cache": {"image": "redis", "volumes": [{"type": "volume", "source": "data", "target": "/d"}]},
            "app": {"image": "shop/app"},
        },
        volumes={"data": {"name": "shop_data"}},
    )  # fmt: skip


def test_the_database_is_found_by_its_image_and_by_its_role() -> None:
    refused = refused_login(POSTGRES[0])
    assert refused is not None
    assert [service.name for service in databases(model(), refused)] == ["store", "own"]  # type: ignore[arg-type]


REFUSED = refused_login(POSTGRES[1])
DAY = 86400.0


def reason_for(age: DatabaseAge) -> Reason | None:
    assert REFUSED is not None
    return volume_older_than_password([age], REFUSED)


def test_a_volume_older_than_its_secret_is_reported_with_what_to_do() -> None:
    reason = reason_for(
        DatabaseAge("store", "shop_data", made=DAY, container=9 * DAY, secret="secrets/password", written=3 * DAY)
    )
    assert reason is not None
    assert reason.message == (
        'password authentication failed for user "app": the volume shop_data of store (made 1970-01-02T00:00:00Z) is '
        "older than the password in secrets/password (written 1970-01-04T00:00:00Z), and a database keeps the password "
        "that it was made with"
    )
    for hint in (
        "put the old password back",
        "change it in the database",
        "remove the container of store and the volume shop_data",
    ):
        assert hint in reason.hint


def test_a_volume_younger_than_its_secret_is_not_reported() -> None:
    assert (
        reason_for(DatabaseAge("store", "shop_data", made=3 * DAY, container=9 * DAY, secret="secrets/x", written=DAY))
        is None
    )


def test_without_a_secret_file_the_volume_is_compared_with_the_container() -> None:
    reason = reason_for(DatabaseAge("store", "shop_data", made=DAY, container=3 * DAY))
    assert reason is not None
    assert "the container that is to use it" in reason.message
    assert reason_for(DatabaseAge("store", "shop_data", made=DAY, container=DAY + 2)) is None
