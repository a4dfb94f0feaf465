"""Which files are migrations, and which of them are pending."""

import pytest

from tasks.release.plan.migrations import merged, name_of, pending


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("migrations/003_nickname.sql", "003_nickname"),  # goose, dbmate
        ("db/migrations/20260102030405_add_price.up.sql", "20260102030405_add_price"),  # golang-migrate
        ("db/migrations/20260102030405_add_price.down.sql", ""),
        ("src/main/resources/db/migration/V2__price.sql", "V2__price"),  # Flyway
        ("src/main/resources/db/migration/U2__price.sql", ""),
        ("db/migrate/20260102030405_create_users.rb", "20260102030405_create_users"),  # Rails
        ("prisma/migrations/20260102_init/migration.sql", "20260102_init"),
        ("prisma/migrations/migration_lock.toml", ""),
        ("migrations/2026-01-02-030405_users/up.sql", "2026-01-02-030405_users"),  # Diesel
        ("migrations/2026-01-02-030405_users/down.sql", ""),
        ("shop/migrations/0002_price.py", "shop.0002_price"),  # Django
        ("shop/migrations/__init__.py", ""),
        ("alembic/versions/ae1027a6acf_price.py", "ae1027a6acf_price"),
        ("migrations/versions/__init__.py", ""),
        ("migrations/20260102-price.js", "20260102-price"),  # Sequelize
        ("seeds/001_sample.sql", ""),
        ("001_initial.sql", ""),
        ("migrations/README.md", ""),
    ],
)
def test_a_migration_is_called_as_its_tool_calls_it(path: str, name: str) -> None:
    assert name_of(path) == name


def test_what_was_not_applied_is_pending_and_what_changed_since_is_told() -> None:
    now = {"001_a": "x", "002_b": "other", "003_c": "z"}
    assert pending(now, {"001_a": "x", "002_b": "y", "000_gone": "w"}) == (("003_c",), ("002_b",))
    assert pending(now, {}) == (("001_a", "002_b", "003_c"), ())


def test_the_files_of_a_migration_count_together() -> None:
    assert merged([("001_a", "two"), ("001_a", "one"), ("002_b", "three")]) == {"001_a": "one+two", "002_b": "three"}
