"""What a rehearsal of an environment is: names, ports and secrets of its own, on this machine."""

from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import profile

from tasks.env import rehearsal as acting
from tasks.env.plan.rehearsal import Rehearsed, candidates, files_of, foreign_secrets, layer, ports, shared
from tasks.host.profile.load_profile import load_profile
from tasks.host.profile.settings import environments, rehearsed_by, settings
from tasks.model.errors import InputError
from tasks.model.profile.interpolation import Variable
from tasks.model.profile.profile import Layer, Profile, resolve
from tasks.model.profile.schema import KEYS
from tasks.model.stack.stack import parse

MODEL: dict[str, Any] = {
    "name": "shop-prod",
    "services": {
        "web": {
            "image": "shop/web:v1",
            "build": {"context": "/srv/shop"},
            "ports": [{"target": 80, "published": "443"}],
            "volumes": [
                {"type": "volume", "source": "data", "target": "/data"},
                {"type": "bind", "source": "/etc/shop/conf", "target": "/conf", "read_only": True},
            ],
            "secrets": [{"source": "key"}],
        }
    },
    "networks": {"default": {"name": "shop-prod_default"}},
    "volumes": {"data": {"name": "shop-prod_data"}},
    "secrets": {"key": {"name": "shop-prod_key", "file": "/etc/shop/secrets/key"}},
}
VALUES = {
    "PORT": "443",
    "TAG": "v1",
    "SECRETS": "/etc/shop/secrets",
    "CONF": "/etc/shop/conf",
    "DB_PASSWORD": "real",
    "DOCKER_HOST": "ssh://deploy@shop.example.com",
    "REQUIRE_PUSHED": "true",
    "HEALTH_TIMEOUT": "2m",
}
DEVELOPMENT = profile("dev", SECRETS="./secrets", DB_PASSWORD="development")


def written(**values: str) -> Profile:
    """Return a profile as its file has it."""
    text = "".join(f"{key}={value}\n" for key, value in values.items())
    free = {name: Variable(name, False, "compose.yml:1") for name in values if name not in KEYS}
    return resolve("prod", [Layer("envs/prod.env", text.encode())], {}, {}, free)


def rehearsed(development: Profile | None = DEVELOPMENT, **changes: str) -> Rehearsed:
    values = {**VALUES, **changes}
    absent = ("/etc/shop/conf", "/etc/shop/secrets/key")
    names = set(values) - set(KEYS)
    return Rehearsed(
        written(**values), parse(MODEL), MODEL, names, "/srv/shop", development, absent, "/srv/shop/secrets/tls.crt"
    )


def test_a_rehearsal_has_names_ports_and_secrets_of_its_own() -> None:
    assert layer(rehearsed(), {"PORT": 10443}, "-rehearsal") == {
        "COMPOSE_PROJECT_NAME": "shop-prod-rehearsal",
        "PORT": "10443",
        "TAG": "v1-rehearsal",
        "SECRETS": "./secrets",
        "CONF": "",  # development leaves it to the Compose file
        "DB_PASSWORD": "development",
        "DOCKER_HOST": "",
        "REQUIRE_PUSHED": "false",
        "SMOKE_CA": "/srv/shop/secrets/tls.crt",
    }


def test_the_engine_that_the_shell_names_is_the_users_choice() -> None:
    by_shell = resolve("prod", [], {"DOCKER_HOST": "ssh://deploy@lab.example.com"}, {}, {})
    one = Rehearsed(by_shell, parse(MODEL), MODEL, (), "/srv/shop")
    assert "DOCKER_HOST" not in layer(one, {}, "-rehearsal")


def test_secrets_that_only_production_has_are_named() -> None:
    assert foreign_secrets(rehearsed()) == ()
    assert foreign_secrets(rehearsed(STRIPE_API_KEY="live")) == ("STRIPE_API_KEY",)
    assert foreign_secrets(rehearsed(None)) == ("DB_PASSWORD",)


def test_a_port_that_is_taken_elsewhere_moves_to_the_next_one() -> None:
    assert ports(rehearsed()) == {"PORT": 443}
    assert list(islice(candidates(443), 2)) == [10443, 10444]
    assert next(candidates(60000)) == 60000
    assert len(list(candidates(80))) == 65535 - 1023


def test_what_would_be_shared_with_the_real_environment_is_named() -> None:
    other = {**MODEL, "networks": {"default": {"name": "x"}}, "volumes": {"data": {"name": "y"}}}
    assert shared(MODEL, other) == ()
    web = {
        "container_name": "web",
        "volumes": [
            {"type": "bind", "source": "/srv/data", "target": "/data"},
            {"type": "bind", "source": "/var/run/docker.sock", "target": "/var/run/docker.sock"},
        ],
    }
    fixed = {"services": {"web": web}, "volumes": {"data": {"name": "data", "external": True}}}
    assert shared(fixed, fixed) == ("volume data", "container name web", "writable mount of /srv/data")
    assert files_of(MODEL) == {"/etc/shop/conf", "/etc/shop/secrets/key"}


@pytest.fixture
def envs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "compose.yaml").write_text("services: {web: {image: 'web:${TAG:-1}'}}\n")
    for name, text in (("base", "# all\n"), ("prod", "TAG=prod\nHEALTH_TIMEOUT=2m\n"), ("prod.local", "TAG=mine\n")):
        (tmp_path / f"{name}.env").write_text(text)
    monkeypatch.setenv("SLIPWAY_PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("SLIPWAY_ENVS_DIR", str(tmp_path))
    return tmp_path


def test_a_rehearsal_is_an_environment_over_the_one_it_rehearses(envs: Path) -> None:
    assert environments() == ("prod",)
    (envs / "prod-rehearsal.local.env").write_text("TAG=rehearsal\n")
    (envs / "gone-rehearsal.local.env").write_text("TAG=rehearsal\n")  # of an environment that is not there any more

    assert environments() == ("prod", "prod-rehearsal")
    read = load_profile("prod-rehearsal")
    assert (read.text("TAG"), read.text("HEALTH_TIMEOUT")) == ("rehearsal", "2m")
    assert rehearsed_by("prod-rehearsal", settings()) == "prod"
    assert rehearsed_by("prod", settings()) == ""


def test_a_rehearsal_is_not_rehearsed(envs: Path) -> None:
    (envs / "prod-rehearsal.local.env").write_text("TAG=rehearsal\n")
    c: Any = SimpleNamespace()
    with pytest.raises(InputError, match="prod-rehearsal is a rehearsal already"):
        acting.project_for_plan(c, "prod-rehearsal")
    (envs / "prod-rehearsal.env").write_text("TAG=own\n")
    with pytest.raises(InputError, match="is an environment of its own"):
        acting.project_for_plan(c, "prod")


@pytest.mark.parametrize(
    ("containers", "said"),
    [
        (
            ["shop-prod-rehearsal-web-1"],
            "rehearsal of prod, on ports: web 10443\n  look at it: inv deploy.status --env",
        ),
        ([], "rehearsal of prod: nothing of it runs; its profile is "),
    ],
)
def test_a_rehearsal_that_was_refused_is_not_told_to_run(
    envs: Path, capsys: pytest.CaptureFixture[str], containers: list[str], said: str
) -> None:
    (envs / "prod-rehearsal.local.env").write_text("TAG=rehearsal\n")
    service = SimpleNamespace(name="web", ports=[SimpleNamespace(published=10443)])
    project: Any = SimpleNamespace(
        settings=settings(),
        profile=profile("prod-rehearsal"),
        stack=SimpleNamespace(project="shop-prod-rehearsal", services={"web": service}),
        engine=SimpleNamespace(containers=lambda _project: containers),
    )
    acting.tell(project)

    told = capsys.readouterr().err
    assert told.startswith(said)
    assert told.endswith("remove it:  inv clean --env prod-rehearsal --volumes --images --yes\n")
