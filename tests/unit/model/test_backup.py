"""Backups: the commands of a service, and the comparison of a restored dump with its source."""

from typing import Any

import pytest
from support import service

from tasks.model.errors import InputError
from tasks.model.stack.backup import Backup, counts, differences, surplus

COMMANDS = {
    "snapshot": ["sql", "view of {database}"],
    "dump": ["dump", "--view={snapshot}", "{database}"],
    "list": ["list"],
    "create": ["create", "{scratch}"],
    "restore": ["load", "--into={scratch}"],
    "tables": ["sql", "count in {scratch}"],
    "swap": ["sql", "{database} to {former}, {scratch} to {database}"],
    "drop": ["drop", "{scratch}"],
}


def declared(**changed: Any) -> Backup:
    fields = {"name": "orders", **COMMANDS, **changed}
    backup = service(**{"x-slipway": {"role": "database", "backup": fields}}).slipway.backup
    assert backup
    return backup


def test_placeholders_of_a_command_are_replaced() -> None:
    backup = declared()

    assert backup.command("dump", snapshot="7-1") == ("dump", "--view=7-1", "orders")
    assert backup.command("restore", backup.check) == ("load", "--into=orders_check")
    assert backup.command("swap", backup.restored) == (
        "sql",
        "orders to orders_before_restore, orders_restore to orders",
    )


def test_a_service_that_says_nothing_about_backups_has_none() -> None:
    assert service().slipway.backup is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dunp": []}, "x-slipway.backup: unknown key 'dunp'"),
        ({"dump": "pg_dump app"}, "x-slipway.backup.dump: expected a list of words, got 'pg_dump app'"),
        ({"dump": []}, r"x-slipway.backup.dump: expected a list of words, got \[\]"),
        ({"name": 'app"; DROP'}, "x-slipway.backup.name: expected letters, digits, - and _"),
        ({"name": ""}, "x-slipway.backup.name: expected letters"),
    ],
)
def test_an_invalid_backup_section_is_refused_with_its_key(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        declared(**changed)


def test_a_command_that_is_missing_is_named() -> None:
    fields = {"name": "orders", **COMMANDS}
    del fields["swap"]

    with pytest.raises(InputError, match=r"x-slipway\.backup: missing key 'swap'"):
        service(**{"x-slipway": {"backup": fields}})


def test_rows_are_read_by_table_and_a_table_name_may_contain_blanks() -> None:
    assert counts(["public.users 20\n", 'public."two words" 3\n', "\n", "NOTICE\n"]) == {
        "public.users": 20,
        'public."two words"': 3,
    }


def test_a_copy_with_the_same_tables_and_rows_has_no_differences() -> None:
    assert differences({"a": 1, "b": 0}, {"b": 0, "a": 1}) == ()


def test_every_difference_between_source_and_copy_is_reported() -> None:
    assert differences({"a": 1, "b": 2}, {"b": 3, "c": 4}) == (
        "table a is missing",
        "table b has 3 rows, not 2",
        "table c is not in the source",
    )


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (0, ()),
        (-1, ()),
        (1, ("20260101T000000Z.dump", "20260102T000000Z.dump")),
        (2, ("20260101T000000Z.dump",)),
        (3, ()),
        (9, ()),
    ],
)
def test_the_oldest_backups_are_removed_but_not_the_newest_or_other_files(keep: int, expected: tuple[str, ...]) -> None:
    newest = "20260103T000000Z.dump"
    names = [newest, "20260101T000000Z.dump", "mine.dump", "20260102T000000Z.dump", "20251231T000000Z.dump.failed"]

    assert surplus(names, newest, keep) == expected


def test_the_newest_backup_is_kept_when_the_clock_was_set_back() -> None:
    newest = "20260101T000000Z.dump"

    assert surplus([newest, "20260102T000000Z.dump"], newest, 1) == ("20260102T000000Z.dump",)
