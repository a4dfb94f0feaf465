"""The client of a database, and which of several databases a task works on."""

import pytest
from support import service, stack

from tasks.db.plan import client
from tasks.db.plan.databases import backed_up, chosen
from tasks.model.errors import InputError

SHOP = {
    "web": {},
    "store": {"environment": {"POSTGRES_DB": "shop"}, "x-slipway": {"database": "postgres"}},
    "queue": {"x-slipway": {"database": "redis"}},
}


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("psql", "-U", "me"), "psql"),
        (("/usr/bin/mariadb",), "mariadb"),
        (("bash", "-c", "exec mariadb", "mariadb", "--database=shop"), "mariadb"),
        (("sh", "-c", "exec psql"), "sh"),
    ],
)
def test_a_client_is_known_by_its_program(words: tuple[str, ...], name: str) -> None:
    assert client.program(words) == name


@pytest.mark.parametrize(
    ("preset", "environment", "words"),
    [
        ("postgres", {"POSTGRES_DB": "shop"}, ("-c", "GET 'a b'")),
        ("mysql", {"MYSQL_DATABASE": "shop"}, ("--execute", "GET 'a b'")),
        ("mariadb", {"MARIADB_DATABASE": "shop"}, ("--execute", "GET 'a b'")),
        ("mongo", {"MONGO_INITDB_DATABASE": "shop"}, ("--eval", "GET 'a b'")),
        ("redis", {}, ("GET", "a b")),
    ],
)
def test_a_statement_is_given_as_the_client_takes_it(
    preset: str, environment: dict[str, str], words: tuple[str, ...]
) -> None:
    words_of_client = service(environment=environment, **{"x-slipway": {"database": preset}}).slipway.client
    assert client.statement(words_of_client, "GET 'a b'") == words


def test_a_statement_with_an_open_quote_is_refused() -> None:
    with pytest.raises(InputError, match="No closing quotation"):
        client.statement(("redis-cli",), "GET 'a")


def test_a_file_of_sql_is_not_given_to_a_client_that_knows_no_sql() -> None:
    with pytest.raises(InputError) as refused:
        client.require_sql(stack(SHOP).service("queue"))
    assert refused.value.message == "--file: redis-cli, the client of queue, does not load files of SQL"
    client.require_sql(stack(SHOP).service("store"))


def test_a_database_is_said_where_there_are_several() -> None:
    shop = stack(SHOP)
    with pytest.raises(InputError) as refused:
        chosen(shop, "")
    assert refused.value.message == "project shop has several databases: store, queue"
    assert refused.value.hint == "say which: --service store"
    assert chosen(shop, "queue").name == "queue"
    assert [found.name for found in backed_up(shop)] == ["store", "queue"]
    with pytest.raises(InputError, match="no service 'quue'"):
        chosen(shop, "quue")


def test_the_only_database_need_not_be_said() -> None:
    one = stack({name: SHOP[name] for name in ("web", "queue")})
    assert chosen(one, "").name == "queue"
    with pytest.raises(InputError, match="says x-slipway"):
        chosen(stack({"web": {}}), "")
