"""Tests of throw-away stacks: the override for the Compose files, and which stacks are left behind."""

from typing import Any

import pytest
from invoke.util import yaml
from support import container, stack

from tasks.model.engine.facts import PROJECT_LABEL, LabelledResource
from tasks.model.stack.stack import Stack, parse
from tasks.sandbox.plan.container import PROCESS_LABEL
from tasks.test.plan import stack as stack_plan
from tasks.test.plan.stack import KEPT_LABEL, OWNER_LABEL, Copy, Tagged

DATA = "/var/lib/data"
DONE = "service_completed_successfully"
MODEL: dict[str, Any] = {
    "name": "shop",
    "services": {
        "store": {
            "image": "store:1",
            "tmpfs": [f"{DATA}:size=1m", "/tmp"],
            "x-slipway": {"role": "database", "data": DATA},
        },
        "schema": {
            "image": "schema:1",
            "depends_on": {"store": {"condition": "service_healthy"}},
            "x-slipway": {"job": "migrate"},
        },
        "rows": {"image": "schema:1", "depends_on": {"schema": {"condition": DONE}}, "x-slipway": {"job": "seed"}},
        "web": {
            "image": "web:1",
            "ports": [{"target": 80, "published": "8080"}],
            "container_name": "web",
            "depends_on": {"rows": {"condition": DONE}, "queue": {"condition": "service_started"}},
        },
        "queue": {"image": "queue:1"},
        "checks": {"image": "checks:1", "profiles": ["test"], "x-slipway": {"job": "test"}},
    },
    "networks": {"default": {"name": "shop_default"}, "shared": {"name": "shared", "external": True}},
    "volumes": {"cache": {"name": "everybodys"}},
}  # fmt: skip


DATA_VOLUME = Tagged("!override", [{"type": "volume", "source": "slipway-data", "target": DATA}])


class _Loader(yaml.SafeLoader):
    """Reads YAML with Compose's tags."""


_LOADER = _Loader
_LOADER.add_constructor("!reset", lambda loader, node: Tagged("!reset", None))
_LOADER.add_constructor("!override", lambda loader, node: Tagged("!override", _value(loader, node)))


def _value(loader: Any, node: Any) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return loader.construct_sequence(node, deep=True)


def shop() -> Stack:
    return parse(MODEL)


def overridden(**fields: Any) -> dict[str, Any]:
    copy = Copy(**{"name": "shop-it-1", "owner": "shop", "process": "here:1:2", "services": ("web",), **fields})
    return yaml.load(stack_plan.override(MODEL, shop(), copy), Loader=_LOADER)


def test_everything_of_a_copy_has_the_owner_labels_and_no_others() -> None:
    override = overridden()
    labels = {OWNER_LABEL: "shop", PROCESS_LABEL: "here:1:2"}
    assert all(service["labels"] == Tagged("!override", labels) for service in override["services"].values())
    parts = [*override["networks"].values(), *override["volumes"].values()]
    assert all(part.tag == "!override" and part.value["labels"] == labels for part in parts)
    kept = overridden(keep=True)["services"]["web"]["labels"]
    assert kept == Tagged("!override", {**labels, KEPT_LABEL: "true"})


def test_a_copy_takes_no_port_and_no_name_that_other_stacks_can_have() -> None:
    override = overridden()
    assert (
        override["services"]["web"]["ports"] == override["services"]["web"]["container_name"] == Tagged("!reset", None)
    )
    assert "ports" not in override["services"]["queue"]
    assert {network.value["name"] for network in override["networks"].values()} == {
        "shop-it-1_default",
        "shop-it-1_shared",
    }
    assert "external" not in override["networks"]["shared"].value
    assert override["volumes"]["cache"].value["name"] == "shop-it-1_cache"


def test_a_copy_runs_the_images_that_were_built_for_it() -> None:
    override = overridden(images={"web": "sha256:a"}, covered=("web",))
    assert override["services"]["web"]["image"] == "sha256:a"
    mount = {"type": "volume", "source": "slipway-coverage-web", "target": "/coverage"}
    assert override["services"]["web"]["volumes"] == Tagged("!override", [mount])
    assert "slipway-coverage-web" in override["volumes"]
    assert "image" not in override["services"]["queue"]


def test_with_a_template_no_service_waits_for_the_jobs() -> None:
    services = overridden(template="sha256:t")["services"]
    assert services["store"]["image"] == "sha256:t"
    assert services["store"]["volumes"] == DATA_VOLUME
    assert services["store"]["tmpfs"] == Tagged("!override", ["/tmp"])
    waits = {"store": {"condition": "service_healthy"}, "queue": {"condition": "service_started"}}
    assert services["web"]["depends_on"] == Tagged("!override", waits)
    assert "depends_on" not in services["queue"]


def test_an_empty_database_gets_a_volume_of_its_own() -> None:
    services = overridden(fresh=True)["services"]
    assert services["store"]["volumes"] == DATA_VOLUME
    assert "image" not in services["store"]
    assert "depends_on" not in services["web"]


def test_a_dollar_is_not_read_as_a_variable_by_compose() -> None:
    copy = Copy("shop-it-1", "shop", "he$re:1:2", ("web",))
    assert "he$$re" in stack_plan.override(MODEL, shop(), copy)


def test_a_copy_has_only_the_smoke_checks_from_its_containers() -> None:
    checks = [{"url": "http://localhost:8080/up"}, {"url": "http://localhost/up", "from": "container"}]
    services, lines = stack_plan.only_container_checks(
        stack({"web": {"image": "a", "x-slipway": {"smoke": checks}}}).services
    )
    assert [str(check) for check in services["web"].slipway.smoke] == ["GET http://localhost/up"]
    assert [line.split(" is not asked")[0] for line in lines] == ["web: GET http://localhost:8080/up"]


def test_services_are_started_with_what_they_depend_on() -> None:
    assert stack_plan.with_dependencies(shop(), ["web"]) == ("store", "schema", "rows", "web", "queue")


def test_a_template_needs_a_database_its_data_directory_and_a_job_that_fills_it() -> None:
    assert stack_plan.templated(shop()).name == "store"
    database = {"x-slipway": {"role": "database", "data": DATA}}
    assert stack_plan.templated(stack({"db": database})) is None
    assert (
        stack_plan.templated(stack({"db": {"x-slipway": {"role": "database"}}, "m": {"x-slipway": {"job": "seed"}}}))
        is None
    )
    assert stack_plan.templated(stack({"m": {"x-slipway": {"job": "seed"}}})) is None
    several = {"cache": {"x-slipway": {"database": "redis"}}, "db": database, "m": {"x-slipway": {"job": "seed"}}}
    assert stack_plan.templated(stack(several)) is None, "the job may fill either"


def key(images: dict[str, str] | None = None, files: dict[str, str] | None = None, **settings: Any) -> str:
    services = {**MODEL["services"], "store": {**MODEL["services"]["store"], **settings}}
    chosen = [shop().service(name) for name in ("store", "schema", "rows")]
    return stack_plan.template_key({"services": services}, chosen, images or {}, files or {})


def test_the_key_of_a_template_depends_on_images_settings_and_files() -> None:
    assert key() == key()
    assert key(ports=[{"target": 1}], container_name="x", networks={}) == key()
    others = [key({"store": "sha256:b"}), key(files={"password": "d1"}), key(files={"password": "d2"})]
    others.append(key(environment={"NAME": "other"}))
    assert len({key(), *others}) == 5


def owned(project: str, kind: str = "container", process: str = "here:1:2", **labels: str) -> LabelledResource:
    return LabelledResource(
        kind, f"{project}-{kind}", project, {PROJECT_LABEL: project, PROCESS_LABEL: process, **labels}
    )


def test_only_stacks_whose_process_is_gone_are_left_behind() -> None:
    stacks = stack_plan.throwaway_stacks([
        owned("a", process="here:1:2"), owned("a", "network"), owned("b", process="here:9:9"),
        owned("c", "volume", process="there:1:2"), owned("d", **{KEPT_LABEL: "true"}),
    ])  # fmt: skip

    def gone(mark: str) -> bool:
        return mark == "here:1:2"

    assert [copy.name for copy in stack_plan.stale(stacks, gone)] == ["a"]
    assert [copy.name for copy in stack_plan.stale(stacks, gone, kept=True)] == ["a", "d"]


def test_containers_go_before_what_they_use() -> None:
    commands = list(stack_plan.removals([owned("a", "volume"), owned("a", "network"), owned("a")]))
    assert [command[1] for command in commands] == ["rm", "network", "volume"]
    assert commands[0] == ("docker", "rm", "--force", "--volumes", "a-container")
    assert list(stack_plan.removals([])) == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"state": "exited", "exit_code": 7}, "web ended with exit code 7"),
        ({"state": "exited", "exit_code": 0}, "web ended with exit code 0"),
        ({"health": "unhealthy"}, "web is unhealthy"),
        ({"health": "starting"}, "web is starting"),
        ({"state": "exited", "exit_code": 137, "oom_killed": True},
         "web was killed for memory: it needs more than its limit"),
    ],
)  # fmt: skip
def test_the_container_that_keeps_a_stack_from_coming_up_is_named(fields: dict[str, Any], words: str) -> None:
    containers = stack_plan.blocking_containers(
        [container("shop-queue-1", health="healthy"), container(**fields)], shop()
    )
    assert [stack_plan.describe_container(blocking) for blocking in containers] == [words]


def test_a_job_that_has_ended_well_does_not_keep_a_stack_from_coming_up() -> None:
    done = container("shop-rows-1", state="exited")
    assert stack_plan.blocking_containers([done, container("shop-queue-1", health="healthy")], shop()) == ()


def test_a_job_that_never_ends_is_named() -> None:
    assert stack_plan.blocking_containers([container("shop-rows-1")], shop())[0].service == "rows"
