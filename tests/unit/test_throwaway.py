"""A throw-away stack: what is laid over the Compose files, and which stacks are left behind."""

from typing import Any

import pytest
from invoke.util import yaml
from support import container, stack

from tasks.plan import throwaway
from tasks.plan.facts import PROJECT_LABEL, Owned
from tasks.plan.stack import Stack, parse
from tasks.plan.throwaway import HOLDER_LABEL, KEPT_LABEL, OWNER_LABEL, Copy, Tagged

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
    """Reads Compose's tags too."""


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
    copy = Copy(**{"name": "shop-it-1", "owner": "shop", "holder": "here:1:2", "services": ("web",), **fields})
    return yaml.load(throwaway.override(MODEL, shop(), copy), Loader=_LOADER)


def test_everything_of_a_copy_says_whose_it_is_and_nothing_else() -> None:
    found = overridden()
    labels = {OWNER_LABEL: "shop", HOLDER_LABEL: "here:1:2"}
    assert all(one["labels"] == Tagged("!override", labels) for one in found["services"].values())
    parts = [*found["networks"].values(), *found["volumes"].values()]
    assert all(one.tag == "!override" and one.value["labels"] == labels for one in parts)
    kept = overridden(keep=True)["services"]["web"]["labels"]
    assert kept == Tagged("!override", {**labels, KEPT_LABEL: "true"})


def test_a_copy_takes_no_port_and_no_name_that_others_may_have() -> None:
    found = overridden()
    assert found["services"]["web"]["ports"] == found["services"]["web"]["container_name"] == Tagged("!reset", None)
    assert "ports" not in found["services"]["queue"]
    assert {one.value["name"] for one in found["networks"].values()} == {"shop-it-1_default", "shop-it-1_shared"}
    assert "external" not in found["networks"]["shared"].value
    assert found["volumes"]["cache"].value["name"] == "shop-it-1_cache"


def test_a_copy_runs_the_images_that_were_built_for_it() -> None:
    found = overridden(images={"web": "sha256:a"}, covered=("web",))
    assert found["services"]["web"]["image"] == "sha256:a"
    mount = {"type": "volume", "source": "slipway-coverage-web", "target": "/coverage"}
    assert found["services"]["web"]["volumes"] == Tagged("!override", [mount])
    assert "slipway-coverage-web" in found["volumes"]
    assert "image" not in found["services"]["queue"]


def test_with_a_template_nobody_waits_for_the_jobs() -> None:
    found = overridden(template="sha256:t")["services"]
    assert found["store"]["image"] == "sha256:t"
    assert found["store"]["volumes"] == DATA_VOLUME
    assert found["store"]["tmpfs"] == Tagged("!override", ["/tmp"])
    waits = {"store": {"condition": "service_healthy"}, "queue": {"condition": "service_started"}}
    assert found["web"]["depends_on"] == Tagged("!override", waits)
    assert "depends_on" not in found["queue"]


def test_an_empty_database_gets_a_volume_of_its_own() -> None:
    found = overridden(fresh=True)["services"]
    assert found["store"]["volumes"] == DATA_VOLUME
    assert "image" not in found["store"]
    assert "depends_on" not in found["web"]


def test_a_dollar_is_no_variable_of_compose() -> None:
    copy = Copy("shop-it-1", "shop", "he$re:1:2", ("web",))
    assert "he$$re" in throwaway.override(MODEL, shop(), copy)


def test_a_copy_asks_only_what_is_asked_in_its_containers() -> None:
    checks = [{"url": "http://localhost:8080/up"}, {"url": "http://localhost/up", "from": "container"}]
    services, said = throwaway.asked_inside(stack({"web": {"image": "a", "x-slipway": {"smoke": checks}}}).services)
    assert [str(one) for one in services["web"].slipway.smoke] == ["GET http://localhost/up"]
    assert [one.split(" is not asked")[0] for one in said] == ["web: GET http://localhost:8080/up"]


def test_services_are_started_with_what_they_depend_on() -> None:
    assert throwaway.needed(shop(), ["web"]) == ("store", "schema", "rows", "web", "queue")


def test_a_template_needs_to_know_the_database_its_files_and_who_fills_it() -> None:
    assert throwaway.templated(shop()).name == "store"
    database = {"x-slipway": {"role": "database", "data": DATA}}
    assert throwaway.templated(stack({"db": database})) is None
    assert (
        throwaway.templated(stack({"db": {"x-slipway": {"role": "database"}}, "m": {"x-slipway": {"job": "seed"}}}))
        is None
    )
    assert throwaway.templated(stack({"m": {"x-slipway": {"job": "seed"}}})) is None


def key(images: dict[str, str] | None = None, files: dict[str, str] | None = None, **settings: Any) -> str:
    services = {**MODEL["services"], "store": {**MODEL["services"]["store"], **settings}}
    chosen = [shop().service(name) for name in ("store", "schema", "rows")]
    return throwaway.template_key({"services": services}, chosen, images or {}, files or {})


def test_a_template_is_known_by_images_settings_and_files() -> None:
    assert key() == key()
    assert key(ports=[{"target": 1}], container_name="x", networks={}) == key()
    others = [key({"store": "sha256:b"}), key(files={"password": "d1"}), key(files={"password": "d2"})]
    others.append(key(environment={"NAME": "other"}))
    assert len({key(), *others}) == 5


def owned(project: str, kind: str = "container", holder: str = "here:1:2", **labels: str) -> Owned:
    return Owned(kind, f"{project}-{kind}", project, {PROJECT_LABEL: project, HOLDER_LABEL: holder, **labels})


def test_only_stacks_whose_process_is_gone_are_left_behind() -> None:
    stacks = throwaway.found([
        owned("a", holder="here:1:2"), owned("a", "network"), owned("b", holder="here:9:9"),
        owned("c", "volume", holder="there:1:2"), owned("d", **{KEPT_LABEL: "true"}),
    ])  # fmt: skip

    def gone(mark: str) -> bool:
        return mark == "here:1:2"

    assert [one.name for one in throwaway.stale(stacks, gone)] == ["a"]
    assert [one.name for one in throwaway.stale(stacks, gone, kept=True)] == ["a", "d"]


def test_containers_go_before_what_they_use() -> None:
    words = list(throwaway.removals([owned("a", "volume"), owned("a", "network"), owned("a")]))
    assert [one[1] for one in words] == ["rm", "network", "volume"]
    assert words[0] == ("docker", "rm", "--force", "--volumes", "a-container")
    assert list(throwaway.removals([])) == []


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
def test_what_keeps_a_stack_from_coming_up_is_named(fields: dict[str, Any], words: str) -> None:
    found = throwaway.guilty([container("shop-queue-1", health="healthy"), container(**fields)], shop())
    assert [throwaway.ending(one) for one in found] == [words]


def test_a_job_that_is_done_keeps_nobody() -> None:
    done = container("shop-rows-1", state="exited")
    assert throwaway.guilty([done, container("shop-queue-1", health="healthy")], shop()) == ()


def test_a_job_that_never_ends_is_named() -> None:
    assert throwaway.guilty([container("shop-rows-1")], shop())[0].service == "rows"
