"""What the profiles of an adopted project say, and which of its files belong to which environment."""

from tasks.adopt.plan.layers import (
    Draft,
    Values,
    env_file_names,
    example_names,
    profiles,
    project_names,
    shown,
    stands_alone,
    variants,
)
from tasks.model.profile.grammar import parse

FILES = {name: ("compose.yaml", "compose.slipway.yaml") for name in ("dev", "staging", "prod")}


def values(text: str) -> dict[str, str]:
    parsed = parse("", text.encode())
    assert parsed.faults == ()
    return {entry.key: entry.value for entry in parsed.entries}


def test_every_environment_is_a_compose_project_of_its_own_and_dev_is_the_one_of_today() -> None:
    texts = profiles(Draft("shop", FILES, Values(".env")))
    assert sorted(texts) == ["base.env", "dev.env", "prod.env", "staging.env"]
    assert values(texts["dev.env"]) == {
        "COMPOSE_PROJECT_NAME": "shop",
        "COMPOSE_FILE": "compose.yaml:compose.slipway.yaml",
    }
    assert values(texts["staging.env"])["COMPOSE_PROJECT_NAME"] == "shop-staging"
    assert values(texts["prod.env"])["CONFIRM_DEPLOY"] == "true"
    assert project_names("")["dev"] == "project"


def test_secrets_of_the_env_file_are_those_of_dev_and_others_name_them_without_a_value() -> None:
    shared = Values(".env", ("TAG=1",), ("DB_PASSWORD='a b'",))
    texts = profiles(Draft("shop", FILES, shared))
    assert values(texts["base.env"]) == {"TAG": "1"}
    assert values(texts["dev.local.env"]) == {"DB_PASSWORD": "a b"}
    assert "prod.local.env" not in texts
    assert "prod.local.env: DB_PASSWORD" in texts["prod.env"]
    assert not any("a b" in text for name, text in texts.items() if name != "dev.local.env")


def test_an_env_file_of_an_environment_goes_to_its_own_layers() -> None:
    shared = Values(".env", ("TAG=1",), ("DB_PASSWORD=one",))
    own = {"prod": Values(".env.prod", ("TAG=2",), ("DB_PASSWORD=two",))}
    texts = profiles(Draft("shop", FILES, shared, own))
    assert values(texts["prod.env"])["TAG"] == "2"
    assert values(texts["prod.local.env"]) == {"DB_PASSWORD": "two"}
    assert "DB_PASSWORD" not in texts["prod.env"]
    assert values(texts["dev.local.env"]) == {"DB_PASSWORD": "one"}


def test_what_nothing_sets_is_empty_as_in_compose_and_what_must_not_be_is_left_to_be_written() -> None:
    base = profiles(Draft("shop", FILES, Values(""), empty=("MODE=",), wanted=("KEY",)))["base.env"]
    assert values(base) == {"MODE": ""}
    assert "\n# KEY=\n" in base


def test_the_compose_file_of_an_environment_is_found_by_its_usual_names() -> None:
    names = {"compose.yaml", "docker-compose.production.yml", "compose-staging.yaml", "compose.dev.yaml"}
    assert variants("compose.yaml", names, "prod") == ("docker-compose.production.yml",)
    assert variants("compose.yaml", names, "staging") == ("compose-staging.yaml", "docker-compose.production.yml")
    assert variants("compose.yaml", names, "dev") == ("compose.dev.yaml",)
    assert variants("compose.dev.yaml", {"compose.dev.yaml"}, "dev") == ()


def test_a_file_with_all_services_is_a_whole_stack_and_one_with_some_is_laid_over() -> None:
    assert stands_alone({"web", "db", "proxy"}, {"web", "db"})
    assert not stands_alone({"proxy"}, {"web", "db"})


def test_env_files_and_examples_are_known_by_their_usual_names() -> None:
    assert ".env.production" in env_file_names("prod")
    assert ".env.prod" not in env_file_names("staging")
    assert {".env.example", "example.env", "env.template", ".example.env"} <= set(example_names(".env"))
    assert "db.env.sample" in example_names("db.env")


def test_what_is_shown_has_no_comments_and_masks_secrets() -> None:
    assert shown("# a\n\nA=1\n", secret=False) == ("A=1",)
    assert shown("A=hush\n", secret=True) == ("A=***",)
