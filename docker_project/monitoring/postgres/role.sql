-- The role of the PostgreSQL exporter: it sees the statistics (pg_monitor), and no row of a table.
-- Run by psql at each start of the monitoring, with the variables `role` and `password`; what is there already stays,
-- and the password becomes the given one.
SET password_encryption = 'scram-sha-256';

SELECT format('CREATE ROLE %I LOGIN', :'role')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role')
\gexec

ALTER ROLE :"role" WITH LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    CONNECTION LIMIT 5 PASSWORD :'password';
ALTER ROLE :"role" SET statement_timeout = '10s';
ALTER ROLE :"role" SET default_transaction_read_only = on;
GRANT pg_monitor TO :"role";
