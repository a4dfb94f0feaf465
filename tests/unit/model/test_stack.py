"""The Compose model as typed data."""

from typing import Any

import pytest
from support import service, stack

from tasks.model.address import Address
from tasks.model.errors import InputError
from tasks.model.stack.attachments import MountPoint
from tasks.model.stack.extension import Reload, SlipwaySettings
from tasks.model.stack.load import LoadTarget
from tasks.model.stack.smoke import Check
from tasks.model.stack.stack import Build, Port, Rootfs, SecretFile, parse


def refused(model: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        parse({"name": "shop", **model})
    return caught.value.message, caught.value.hint


def test_an_empty_model_is_an_empty_stack() -> None:
    empty = parse({})

    assert (empty.project, dict(empty.services), dict(empty.secrets), empty.rootfs) == ("", {}, {}, None)


def test_a_service_that_says_nothing_has_the_defaults_of_compose() -> None:
    web = service("web")

    assert web.image == "shop-web:latest"
    assert web.build is None
    assert web.replicas == 1
    assert not web.health_check
    assert not web.restarts
    assert web.slipway == SlipwaySettings()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("web", "web:latest"),
        ("web:dev", "web:dev"),
        ("shop/web", "shop/web:latest"),
        ("registry.example.com:5000/web", "registry.example.com:5000/web:latest"),
        ("registry.example.com:5000/web:dev", "registry.example.com:5000/web:dev"),
        ("web@sha256:aa", "web@sha256:aa"),
        ("web:dev@sha256:aa", "web:dev@sha256:aa"),
    ],
)
def test_an_image_is_known_by_its_name_and_tag(image: str, expected: str) -> None:
    assert service(image=image).image == expected


def test_the_build_section_keeps_what_it_does_not_know() -> None:
    web = service(
        build={
            "context": "/srv/shop/web",
            "dockerfile": "Dockerfile.prod",
            "target": "production",
            "args": {"A": "1", "EMPTY": "", "NOT_SET": None},
            "additional_contexts": {"golang:1.27": "docker-image://local/golang"},
            "cache_from": ["type=gha"],
            "no_cache": True,
        }
    )

    assert web.build == Build(
        context="/srv/shop/web",
        dockerfile="Dockerfile.prod",
        target="production",
        arguments={"A": "1", "EMPTY": ""},
        contexts={"golang:1.27": "docker-image://local/golang"},
        extra={"cache_from": ["type=gha"], "no_cache": True},
    )


def test_a_dollar_that_compose_prints_doubled_is_one_dollar() -> None:
    web = service(build={"context": "/srv", "args": {"HASH": "$$2y$$10$$x"}, "dockerfile_inline": "RUN echo $${A}"})

    assert web.recipe().arguments == {"HASH": "$2y$10$x"}
    assert web.recipe().extra == {"dockerfile_inline": "RUN echo ${A}"}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"target": 80, "published": "8080", "protocol": "tcp"}, Port(80, 8080)),
        ({"target": 80, "published": "8080", "host_ip": "127.0.0.1"}, Port(80, 8080, "127.0.0.1")),
        ({"target": 53, "published": "53", "protocol": "udp"}, Port(53, 53, "", "udp")),
        ({"target": 80}, Port(80, 0)),
        ({"target": 80, "published": "8000-8010"}, Port(80, 0, span=(8000, 8010))),
        ({"target": 80, "published": ""}, Port(80, 0)),
        ({"target": 80, "published": "0"}, Port(80, 0)),
    ],
)
def test_a_port_is_known_when_the_engine_does_not_choose_it(raw: dict[str, Any], expected: Port) -> None:
    assert service(ports=[raw]).ports == (expected,)


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ({"test": ["CMD", "true"]}, True),
        ({"test": ["CMD-SHELL", "true"], "interval": "5s"}, True),
        ({"test": ["NONE"]}, False),
        ({"disable": True}, False),
        ({"test": ["CMD", "true"], "disable": True}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_health_check_that_is_switched_off_is_none(check: object, expected: bool) -> None:
    assert service(healthcheck=check).health_check is expected


def test_a_health_check_that_is_switched_off_switches_off_that_of_the_image() -> None:
    assert service(healthcheck={"disable": True}).health_disabled
    assert service(healthcheck={"test": ["NONE"]}).health_disabled
    assert not service().health_disabled


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 1),
        ({"scale": 3}, 3),
        ({"scale": 0}, 0),
        ({"deploy": {"replicas": 2}}, 2),
        ({"deploy": {"replicas": 0}}, 0),
        ({"deploy": {"resources": {}}}, 1),
        ({"deploy": None}, 1),
    ],
)
def test_replicas_come_from_deploy_or_scale(fields: dict[str, Any], expected: int) -> None:
    assert service(**fields).replicas == expected


@pytest.mark.parametrize(
    ("restart", "expected"),
    [("no", False), ("", False), ("always", True), ("on-failure:3", True), ("unless-stopped", True)],
)
def test_the_restart_policy_says_whether_a_container_comes_back(restart: str, expected: bool) -> None:
    assert service(restart=restart).restarts is expected


def test_secrets_that_are_no_files_are_left_to_compose() -> None:
    shop = stack(
        {"web": {"secrets": [{"source": "password"}, {"source": "token", "target": "/run/secrets/t"}]}},
        secrets={
            "password": {"name": "shop_password", "file": "/etc/shop/password"},
            "token": {"name": "shop_token", "environment": "TOKEN"},
            "outside": {"name": "outside", "external": True},
        },
        **{"x-slipway": {"secrets": {"password": {"generate": "password"}}}},
    )

    assert shop.service("web").secrets == ("password", "token")
    assert shop.secrets == {"password": SecretFile("password", "/etc/shop/password", "password", "")}


def test_a_rootfs_needs_a_suite_and_a_file() -> None:
    assert stack(
        {}, **{"x-slipway": {"rootfs": {"suite": "trixie", "file": "r.tar", "include": ["ca-certificates"]}}}
    ).rootfs == (Rootfs("trixie", "r.tar", ("ca-certificates",)))
    assert refused({"x-slipway": {"rootfs": {"suite": "trixie"}}}) == (
        "x-slipway.rootfs: needs suite and file",
        "for example {suite: trixie, file: rootfs.tar}",
    )


def test_the_x_slipway_section_of_a_service_is_typed() -> None:
    settings = service(
        **{
            "x-slipway": {
                "job": "migrate",
                "role": "database",
                "client": ["psql", "-U", "me"],
                "debug-target": "shell",
                "size-budget": "20MB",
                "smoke": [{"url": "http://localhost"}],
                "load": {"targets": ["GET http://web/a"]},
                "rollout": "recreate",
            }
        }
    ).slipway

    assert settings == SlipwaySettings(
        "migrate",
        "database",
        ("psql", "-U", "me"),
        "shell",
        20_000_000,
        rollout="recreate",
        smoke=(Check(Address("http", "localhost", 80, "/")),),
        load=(LoadTarget("GET", Address("http", "web", 80, "/a")),),
    )


def test_a_budget_may_be_a_number_of_bytes() -> None:
    assert service(**{"x-slipway": {"size-budget": 1000}}).slipway.size_budget == 1000


@pytest.mark.parametrize(
    ("field", "message", "hint"),
    [
        (
            {"sise-budget": "1MB"},
            "services.web.x-slipway: unknown key 'sise-budget'",
            "did you mean size-budget? "
            "There are: job, role, database, client, data, backup, rollout, canary, watch, proxy, reload, settle, "
            "live, smoke, load, metrics, slo, liveness, scale, ingress, accept, debug-target, tester-target, "
            "cover-target, size-budget",
        ),
        (
            {"job": "seeds"},
            "services.web.x-slipway.job: expected one of migrate, seed, test, once, got 'seeds'",
            "correct the Compose file",
        ),
        (
            {"role": {"a": 1}},
            "services.web.x-slipway.role: expected one of database, load-generator, got {'a': 1}",
            "correct the Compose file",
        ),
        (
            {"rollout": 3},
            "services.web.x-slipway.rollout: expected one of recreate, start-first, blue-green, canary, got 3",
            "correct the Compose file",
        ),
        (
            {"client": "psql -U me"},
            "services.web.x-slipway.client: expected a list of words, got 'psql -U me'",
            'as in ["psql", "-U", "me"]',
        ),
        (
            {"client": ["psql", 1]},
            "services.web.x-slipway.client: expected a list of words, got ['psql', 1]",
            'as in ["psql", "-U", "me"]',
        ),
        (
            {"size-budget": "large"},
            "services.web.x-slipway.size-budget: expected a size such as 20MB, got 'large'",
            "units: B, kB, MB, GB, KiB, MiB, GiB",
        ),
        (
            ["job"],
            "services.web.x-slipway: expected a mapping, got ['job']",
            "docs/compose-extension.md has the keys",
        ),
    ],
)
def test_an_invalid_field_of_a_service_is_named(field: object, message: str, hint: str) -> None:
    assert refused({"services": {"web": {"x-slipway": field}}}) == (message, hint)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"secret": {}}, "x-slipway: unknown key 'secret'"),
        ("yes", "x-slipway: expected a mapping, got 'yes'"),
        (
            {"secrets": {"password": {"generate": "passwd"}}},
            "x-slipway.secrets.password.generate: unknown generator 'passwd'",
        ),
        ({"secrets": {"password": {"gen": "password"}}}, "x-slipway.secrets.password: unknown key 'gen'"),
        ({"secrets": {"password": "password"}}, "x-slipway.secrets.password: expected a mapping, got 'password'"),
    ],
)
def test_an_invalid_field_of_the_project_is_named(field: object, message: str) -> None:
    model = {"secrets": {"password": {"file": "/p"}}, "x-slipway": field}

    assert refused(model)[0] == message


def test_a_misspelt_service_gets_the_nearest_name() -> None:
    with pytest.raises(InputError) as caught:
        stack({"web": {}, "worker": {}}).service("wrker")

    assert caught.value.message == "no service 'wrker' in project shop"
    assert caught.value.hint == "did you mean worker? There are: web, worker"


def test_a_service_of_an_empty_project_has_no_neighbour() -> None:
    with pytest.raises(InputError) as caught:
        stack({}).service("web")

    assert caught.value.hint == "there are: none"


def test_no_name_selects_all_services_and_a_name_given_twice_one() -> None:
    shop = stack({"web": {}, "worker": {}})

    assert [service.name for service in shop.select(())] == ["web", "worker"]
    assert [service.name for service in shop.select(["worker", "worker"])] == ["worker"]


def test_only_services_with_a_build_section_are_built() -> None:
    shop = stack({"web": {"build": {"context": "/web"}}, "cache": {"image": "valkey:8"}})

    assert [service.name for service in shop.built()] == ["web"]


def test_asking_to_build_a_service_that_is_not_built_is_an_error() -> None:
    with pytest.raises(InputError) as caught:
        stack({"web": {"build": {"context": "/web"}}, "cache": {"image": "valkey:8"}}).built(["cache"])

    assert caught.value.message == "service cache has no build section"


def test_a_job_and_a_role_are_found_by_what_the_services_say() -> None:
    shop = stack({"schema": {"x-slipway": {"job": "migrate"}}, "postgres": {"x-slipway": {"role": "database"}}})

    assert shop.job("migrate").name == "schema"
    assert shop.role("database").name == "postgres"


def test_a_job_that_no_service_does_is_named() -> None:
    with pytest.raises(InputError) as caught:
        stack({"web": {}}).job("seed")

    assert caught.value.message == "no service of project shop says x-slipway.job: seed"


def test_a_service_that_another_waits_for_to_complete_is_a_one_off() -> None:
    shop = stack(
        {
            "schema": {},
            "seed": {"x-slipway": {"job": "seed"}},
            "web": {"depends_on": {"schema": {"condition": "service_completed_successfully", "required": True}}},
            "proxy": {"depends_on": {"web": {"condition": "service_started"}}},
        }
    )

    assert [service.name for service in shop.services.values() if shop.one_off(service)] == ["schema", "seed"]


def test_a_new_container_is_watched_for_as_long_as_the_service_says() -> None:
    monitored = {"update_config": {"monitor": "3s"}}
    assert service().settle is None, "as the profile says"
    assert service(deploy=monitored).settle == 3
    assert service(deploy=monitored, **{"x-slipway": {"settle": "1m"}}).settle == 60
    assert service(**{"x-slipway": {"settle": "0s"}}).settle == 0


def test_the_reload_section_is_read() -> None:
    assert service().slipway.reload is None
    assert service(**{"x-slipway": {"reload": {"check": ["a", "-t"], "signal": "USR1"}}}).slipway.reload == Reload(
        ("a", "-t"), "USR1"
    )
    assert service(**{"x-slipway": {"reload": {}}}).slipway.reload == Reload()
    assert service(**{"x-slipway": {"reload": {"secrets": True}}}).slipway.reload == Reload(secrets=True)
    for wrong in ({"signal": "hang up"}, {"check": "a -t"}, {"chek": []}, {"secrets": "yes"}):
        with pytest.raises(InputError, match=r"services\.web\.x-slipway\.reload"):
            service(**{"x-slipway": {"reload": wrong}})


def test_namespaces_and_mounts_of_a_service_are_read() -> None:
    bind = {"type": "bind", "source": "/p", "target": "/q", "read_only": True, "bind": {"create_host_path": True}}
    shared = {"network_mode": "service:a", "pid": "service:b", "ipc": "host", "volumes_from": ["c:ro", "d"]}
    web = service(volumes=[bind], tmpfs=["/t:size=1m"], **shared)

    assert (web.network_mode, web.pid, web.ipc) == ("service:a", "service:b", "host")
    assert web.shares == ("a", "b", "c", "d")
    assert web.mounts == (MountPoint("bind", "/q", "/p", read_only=True, created=True), MountPoint("tmpfs", "/t"))
