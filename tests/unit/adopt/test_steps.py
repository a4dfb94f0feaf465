"""What works with an adopted project, what is missing for each further step, and the line to add."""

from collections.abc import Mapping
from typing import Any

import pytest

from tasks.adopt.plan.override import override_name, override_text
from tasks.adopt.plan.steps import Facts, Gap, rows, steps
from tasks.host.profile.extensions import parse_compose
from tasks.model.stack.presets import images
from tasks.model.stack.stack import parse

WEB = {"image": "shop/web:1", "ports": [{"target": 80, "published": "8080", "protocol": "tcp"}]}
CHECK = {"test": ["CMD", "true"], "interval": "5s"}
WANTED: Mapping[str, tuple[str, ...]] = {"dev": (), "prod": ("DB_PASSWORD",)}


def facts(services: Mapping[str, Any], **more: Any) -> Facts:
    return Facts(parse({"name": "shop", "services": services}), wanted=WANTED, **more)


def gaps(known: Facts, name: str) -> tuple[Gap, ...]:
    return next(step.gaps for step in steps(known) if step.name == name)


def test_an_environment_works_when_no_value_is_missing() -> None:
    assert gaps(facts({"web": WEB}), "deploy dev") == ()
    assert gaps(facts({"web": WEB}), "deploy prod") == (
        Gap("prod.local.env", "DB_PASSWORD has no value", "DB_PASSWORD=…"),
    )
    refused = facts({"web": WEB}, refused=(("web: env_file /a/web.env does not exist", "write it"),))
    assert gaps(refused, "deploy dev") == (Gap("web", "env_file /a/web.env does not exist", "write it"),)


@pytest.mark.parametrize(
    ("image", "line"),
    [
        ("postgres:17", '[CMD-SHELL, "pg_isready -U $${POSTGRES_USER:-postgres}"]'),
        ("docker.io/library/redis", "[CMD, redis-cli, ping]"),
        ("mariadb:11", "[CMD, healthcheck.sh, --connect, --innodb_initialized]"),
        ("mysql:8", '[CMD, mysqladmin, ping, "--host=127.0.0.1", --silent]'),
        ("mongo:8", "[CMD, mongosh, --quiet, --eval, \"db.adminCommand('ping')\"]"),
        ("shop/web", "[CMD, …]"),
    ],
)
def test_a_service_without_a_health_check_gets_the_one_of_its_kind(image: str, line: str) -> None:
    gap = gaps(facts({"one": {"image": image}}), "health")[0]
    assert gap.line == f"healthcheck: {{test: {line}, interval: 5s}}"
    assert parse_compose(gap.line, "")["healthcheck"]["interval"] == "5s"
    assert gap.what == "no health check, unless its image has one"
    assert gaps(facts({"one": {"image": image, "healthcheck": CHECK}}), "health") == ()


def test_a_web_server_is_asked_on_the_port_that_it_listens_on() -> None:
    gap = gaps(facts({"web": {**WEB, "build": {"context": "/shop"}}}), "health")[0]
    assert '"http://127.0.0.1:80/"' in gap.line
    assert gap.what == "no health check"  # that of an image of our own would be seen


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (WEB, "two containers at once cannot publish port 8080"),
        ({"image": "web", "container_name": "web"}, "only one container can have its container_name"),
        ({"image": "web", "network_mode": "host"}, "network_mode: host: both would listen on the same ports"),
        ({"image": "web"}, "no health check says when a new container can take over"),
        (
            {"image": "web", "volumes": [{"type": "volume", "source": "data", "target": "/data"}]},
            "keeps data in data: it is stopped before its successor starts",
        ),
        ({"image": "web", "healthcheck": CHECK}, "no proxy that could lead to two containers"),
    ],
)
def test_what_stands_in_the_way_of_a_rollout_without_a_gap(raw: Mapping[str, Any], what: str) -> None:
    assert [gap.what for gap in gaps(facts({"web": raw}), "zero-drop rollout")] == [what]


def test_behind_a_proxy_a_service_can_be_rolled_out_and_what_keeps_data_is_not() -> None:
    services = {
        "web": {"image": "shop/web", "healthcheck": CHECK},
        "edge": {**WEB, "image": "nginx:1.29"},
        "db": {"image": "postgres:17", "healthcheck": CHECK},
        "tool": {"image": "shop/tool"},
        "seed": {"image": "shop/seed", "x-slipway": {"job": "seed"}},
    }
    web, edge = gaps(facts(services, optional=frozenset({"tool"})), "zero-drop rollout")
    assert (web.where, web.line) == ("web", "x-slipway: {rollout: blue-green}")
    assert (edge.where, edge.line) == ("edge", "x-slipway: {proxy: {kind: nginx}}")
    services["edge"] = {**WEB, "image": "shop/edge", "x-slipway": {"proxy": {"kind": "caddy"}}}
    (web,) = gaps(facts(services, optional=frozenset({"tool"})), "zero-drop rollout")
    assert web.where == "web", "a proxy that says how it is led needs no more, whatever its image is called"


def test_smoke_checks_ask_what_is_published_and_none_is_missing_where_there_are_some() -> None:
    services = {"web": WEB, "db": {**WEB, "image": "postgres"}}
    assert [gap.line for gap in gaps(facts(services), "smoke checks")] == [
        'x-slipway: {smoke: [{url: "http://localhost:8080/"}]}'
    ]
    asked = {"web": {**WEB, "x-slipway": {"smoke": [{"url": "http://localhost:8080/"}]}}}
    assert gaps(facts(asked), "smoke checks") == ()


def test_tests_need_a_stage_and_a_service_that_tests() -> None:
    built = facts({"web": WEB}, stages={"web": ("build", "final")}, test_file="compose.test.yaml", tested=False)
    environment, stage = gaps(built, "unit tests")
    assert environment.line == "inv env.new test, with compose.test.yaml in its COMPOSE_FILE"
    assert stage.line == "FROM build AS tester, RUN the tests in it"
    assert gaps(built, "integration tests")[1].line == "x-slipway: {job: test} and profiles: [test]"
    assert "unit tests" not in [step.name for step in steps(facts({"web": WEB}))]
    ready = facts({"e2e": {"image": "e2e", "x-slipway": {"job": "test"}}}, stages={"e2e": ("tester",)})
    assert gaps(ready, "unit tests") == gaps(ready, "integration tests") == ()


def test_production_does_not_build_the_stage_of_development() -> None:
    services = {"web": {"build": {"context": "/shop", "target": "development"}}}
    stages = {"web": ("development", "production")}
    (gap,) = gaps(facts(services, stages=stages, same_files=True), "production images")
    assert gap.line == "target: ${BUILD_TARGET:-development}, and BUILD_TARGET=production in prod.env"
    assert gaps(facts(services, stages=stages), "production images") == ()
    (gap,) = gaps(facts(services, stages={"web": ("development",)}, same_files=True), "production images")
    assert gap.line.startswith("a stage production, target: ")


def test_backups_are_those_of_the_main_database() -> None:
    services = {"cache": {"image": "redis"}, "db": {"image": "postgres:17"}}
    (gap,) = gaps(facts(services), "backups")
    assert (gap.where, gap.line) == ("db", "x-slipway: {database: postgres} (docs/databases.md)")
    said = {**services, "db": {"image": "postgres:17", "x-slipway": {"database": "postgres"}}}
    assert gaps(facts(said), "backups") == ()
    assert gaps(facts({"web": WEB}), "backups")[0].what == "no database that is known"


def test_secrets_in_the_files_and_in_a_build_context_are_named_without_their_values() -> None:
    known = facts({"web": WEB}, written={"web": ("TOKEN",)}, exposed=("web",), git=False, empty=("KEY",))
    first, empty, second = gaps(known, "secrets")
    assert (empty.where, empty.line) == ("dev.local.env", "KEY=…")
    assert first.line == "TOKEN: ${TOKEN}, the value in *.local.env"
    assert second.line == ".dockerignore: **/*.local.env"
    assert gaps(known, "versions")[0].line.startswith("git init")


def test_two_environments_on_one_engine_need_ports_of_their_own() -> None:
    gap = gaps(facts({"web-app": WEB}), "environments on one engine")[0]
    assert gap.line == 'ports: ["${WEB_APP_PORT:-8080}:80"]'
    (gap,) = gaps(facts({"web": WEB}, port_variables={"web": "PORT"}), "environments on one engine")
    assert (gap.what, gap.line) == ("port 8080 is the same in all of them", "PORT=… in staging.env")


def test_services_that_lack_the_same_thing_share_a_row() -> None:
    known = facts({"web": WEB}, exposed=("a", "b", "c", "d", "e"), written={"web": ("TOKEN",)})
    found = [row for row in rows(steps(known)) if row[0] in ("secrets", "versions", "")]
    first = found.index(next(row for row in found if row[0] == "secrets"))
    assert found[first][:3] == ("secrets", "no", "web: written out in the Compose files: TOKEN")
    assert found[first + 1][2] == "a, b, c and 2 more: its build context has the profiles, those with secrets too"
    assert ("versions", "yes", "inv image.tags", "") in found


def test_the_override_says_which_service_is_the_database_and_has_the_rest_as_comments() -> None:
    known = facts({"web": WEB, "db": {"image": "postgres:17"}}, database="database: postgres")
    text = override_text(known, steps(known), {"web", "db"})
    document = parse_compose(text, "")
    assert document == {"services": {"db": {"x-slipway": {"database": "postgres"}}}}
    assert '  #     smoke: [{url: "http://localhost:8080/"}]' in text
    assert override_name("docker-compose.yml") == "docker-compose.slipway.yml"
    assert override_name("deploy/stack.yaml") == "compose.slipway.yaml"


def test_an_override_without_a_database_of_its_own_is_still_a_compose_file() -> None:
    known = facts({"web": WEB, "db": {"image": "postgres:17"}}, database="role: database")
    # Compose refuses to see a service again that an `include` brings.
    assert parse_compose(override_text(known, steps(known), {"web"}), "") == {"x-slipway": {}}


def test_a_declared_database_is_a_database_whatever_its_image_is_called() -> None:
    stack = parse({"services": {"db": {"image": "shop/data", "x-slipway": {"role": "database"}}}})
    assert images.database(stack.services["db"]) == "other"
    names = ("postgres:17", "docker.io/library/mariadb", "postgis/postgis:17", "bitnami/postgresql")
    official = [images.is_official(parse({"services": {"d": {"image": name}}}).services["d"]) for name in names]
    assert official == [True, True, True, False]
    assert images.proxy(parse({"services": {"p": {"image": "traefik:3"}}}).services["p"]) == "traefik"
