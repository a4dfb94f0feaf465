-- A migration that takes its time, for the experiment migration-database-cut.

-- +goose Up
CREATE TABLE chaos_migration (id bigint PRIMARY KEY);
SELECT pg_sleep(15);

-- +goose Down
DROP TABLE chaos_migration;
