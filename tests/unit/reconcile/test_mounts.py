"""What a service refers to in addition to its image, and where that is mounted from after a roll back."""

from typing import Any

import pytest

from tasks.reconcile.plan.mounts import Reference, references, with_other_sources

MODEL: dict[str, Any] = {
    "name": "shop",
    "secrets": {"token": {"file": "/srv/token"}, "key": {"environment": "KEY"}, "far": {"external": True}},
    "configs": {"site": {"file": "/srv/site.conf"}, "note": {"content": "hello"}, "flag": {"environment": "FLAG"}},
    "services": {
        "web": {
            "secrets": [{"source": "token"}, {"source": "key", "target": "api/key"}, {"source": "far"}],
            "configs": [{"source": "site", "target": "/etc/site.conf"}, {"source": "note"}, {"source": "flag"}],
            "volumes": [
                {"type": "bind", "source": "/srv/page", "target": "/page/", "read_only": True},
                {"type": "bind", "source": "/srv/data", "target": "/data", "bind": {"create_host_path": True}},
                {"type": "volume", "source": "store", "target": "/store"},
                {"type": "tmpfs", "target": "/tmp"},
            ],
        },
        "plain": {},
    },
}


def test_secrets_configs_and_bind_mounts_are_referred_to_in_the_models_order() -> None:
    assert references(MODEL, "web") == (
        Reference("secret", "secret token", "file", "/srv/token", "/run/secrets/token"),
        Reference("secret", "secret key", "variable", "KEY", "/run/secrets/api/key"),
        Reference("config", "config site", "file", "/srv/site.conf", "/etc/site.conf"),
        Reference("config", "config note", "text", "hello", "/note"),
        Reference("config", "config flag", "variable", "FLAG", "/flag"),
        Reference("bind", "/srv/page at /page/", "file", "/srv/page", "/page"),
        Reference("bind", "/srv/data at /data", "file", "/srv/data", "/data", writable=True, created=True),
    )


@pytest.mark.parametrize("service", ["plain", "gone"])
def test_a_service_that_refers_to_nothing_has_no_references(service: str) -> None:
    assert references(MODEL, service) == ()


def test_only_secrets_are_not_kept() -> None:
    assert [reference.name for reference in references(MODEL, "web") if reference.secret] == [
        "secret token",
        "secret key",
    ]


def test_the_root_is_a_target_too() -> None:
    bind = {"type": "bind", "source": "/srv", "target": "/"}
    assert references({"services": {"web": {"volumes": [bind]}}}, "web")[0].target == "/"


@pytest.mark.parametrize(
    ("live", "expected"),
    [("/srv/src", True), ("/srv/src/", True), ("/srv", True), ("/srv/src/a.go", False), ("/srv/sr", False)],
)
def test_a_mount_below_a_live_path_is_live(live: str, expected: bool) -> None:
    bind = {"type": "bind", "source": "/srv/src", "target": "/src"}
    assert references({"services": {"web": {"volumes": [bind]}}}, "web", [live])[0].live is expected


def test_what_compose_watches_is_live() -> None:
    bind = {"type": "bind", "source": "/srv/src", "target": "/src"}
    watched = {"develop": {"watch": [{"path": "/srv/src", "action": "sync", "target": "/src"}]}}
    assert references({"services": {"web": {"volumes": [bind], **watched}}}, "web")[0].live


def test_a_redirected_model_mounts_from_elsewhere() -> None:
    made = with_other_sources(MODEL, {("web", "/page"): "/kept/1", ("web", "/etc/site.conf"): "/kept/2"})

    sources = {reference.target: reference.source for reference in references(made, "web")}
    assert sources["/page"] == "/kept/1"
    assert sources["/etc/site.conf"] == "/kept/2"
    assert sources["/data"] == "/srv/data"
    assert made["services"]["web"]["volumes"][2:] == MODEL["services"]["web"]["volumes"][2:]


def test_a_secret_and_another_service_are_never_redirected() -> None:
    places = {("web", "/run/secrets/token"): "/kept/1", ("plain", "/page"): "/kept/2"}
    assert references(with_other_sources(MODEL, places), "web") == references(MODEL, "web")


def test_what_was_given_stays_as_it_is_and_a_model_without_configs_gets_none() -> None:
    with_other_sources(MODEL, {("web", "/etc/site.conf"): "/kept/2"})
    assert MODEL["configs"]["site"] == {"file": "/srv/site.conf"}
    assert with_other_sources({"services": {"web": {}}}, {}) == {"services": {"web": {}}}
