"""Names on Kubernetes are DNS labels that do not collide; what refers to an old one is reported."""

import pytest
from outside import source

from tasks.kube.plan.names import is_label, label, of_services
from tasks.kube.plan.network.renamed import part
from tasks.kube.plan.source import HostFile, KubeSource
from tasks.model.errors import InputError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("web", "web"),
        ("my_service_api", "my-service-api"),
        ("A.B", "a-b"),
        ("Web", "web"),
        ("2fa", "s-2fa"),
        ("a__b", "a-b"),
        ("_x_", "x"),
        ("-", "s"),
        ("0", "s-0"),
    ],
)
def test_a_name_becomes_the_nearest_label(name: str, expected: str) -> None:
    assert label(name) == expected


def test_case_alone_changes_no_name() -> None:
    assert is_label("Web") and is_label("web-1")
    assert is_label("x" * 63) and is_label("x") and not is_label("1x") and not is_label("x-") and not is_label("")
    assert not is_label("my_web") and not is_label("a.b") and not is_label("x" * 64)


def test_each_service_has_its_name() -> None:
    assert of_services(["web", "my_db"]) == {"web": "web", "my_db": "my-db"}


@pytest.mark.parametrize("pair", [("my_db", "my-db"), ("Web", "web"), ("a.b", "a_b")])
def test_two_names_that_become_one_are_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(InputError, match=f"services.{pair[0]} and services.{pair[1]}: both are") as caught:
        of_services(pair)
    assert caught.value.exit_code == 2


def test_a_name_of_64_characters_is_refused() -> None:
    assert of_services(["x" * 63]) == {"x" * 63: "x" * 63}
    with pytest.raises(InputError, match="longer than 63"):
        of_services(["x" * 64])


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"environment": {"API": "http://my_service_api:80"}}, "environment.API"),
        ({"environment": {"DSN": "mysql://u:p@my_service_api/db"}}, "environment.DSN"),
        ({"environment": {"API_HOST": "my_service_api"}}, "environment.API_HOST"),
        ({"environment": {"HOSTS": "a:1,my_service_api:80"}}, "environment.HOSTS"),
        ({"command": ["serve", "--api=my_service_api:80"]}, "command"),
        ({"entrypoint": ["wait-for", "my_service_api:80"]}, "entrypoint"),
        ({"healthcheck": {"test": ["CMD", "curl", "http://my_service_api/"]}}, "healthcheck.test"),
    ],
)
def test_a_text_that_names_a_renamed_service_is_reported(fields: dict[str, object], key: str) -> None:
    found = source({"web": fields, "my_service_api": {}})
    (outcome,) = part(found, found.stack.services["web"]).outcomes
    assert (outcome.kind, outcome.key, outcome.accept) == ("refused", f"services.web.{key}", "KUBE-NAMES")
    assert "my_service_api" in outcome.reason and "my-service-api" in outcome.hint


def test_a_file_or_a_config_that_names_a_renamed_service_is_reported() -> None:
    web = {
        "volumes": [{"type": "bind", "source": "/shop/proxy.conf", "target": "/etc/proxy.conf"}],
        "configs": [{"source": "routes", "target": "/routes"}],
    }
    plain = source({"web": web, "my_api": {}}, configs={"routes": {"content": "to: http://my_api/"}})
    files = {"/shop/proxy.conf": HostFile("file", {"": b"server my_api:8000;"})}
    found = KubeSource(plain.model, plain.stack, files=files)
    assert [outcome.key for outcome in part(found, found.stack.services["web"]).outcomes] == [
        "services.web.volumes./etc/proxy.conf",
        "configs.routes.content",
    ]


@pytest.mark.parametrize(
    "environment",
    [
        {"DB_USER": "my_service_api"},  # a name, but of no host
        {"API": "http://not_my_service_api:80"},
        {"API": "http://my_service_api_2:80"},
        {"API": "http://my_service_api.example.com"},
        {"API_HOST": None},
    ],
)
def test_other_texts_are_not_reported(environment: dict[str, str | None]) -> None:
    found = source({"web": {"environment": environment}, "my_service_api": {}})
    assert part(found, found.stack.services["web"]).outcomes == ()


def test_a_name_that_stays_is_not_reported() -> None:
    found = source({"web": {"environment": {"API": "http://Api:80"}}, "Api": {}})
    assert part(found, found.stack.services["web"]).outcomes == ()
