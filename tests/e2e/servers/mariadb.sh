#!/usr/bin/env bash
# The start-up contract of the official images of MariaDB and MySQL: the password of root, a database.
set -euo pipefail
password=${MARIADB_ROOT_PASSWORD:-${MYSQL_ROOT_PASSWORD:-}}
file=${MARIADB_ROOT_PASSWORD_FILE:-${MYSQL_ROOT_PASSWORD_FILE:-}}
[ -z "$file" ] || password=$(< "$file")
if [ ! -d /var/lib/mysql/mysql ]; then
    mariadb-install-db --user=root --auth-root-authentication-method=normal --skip-test-db > /dev/null
    printf "ALTER USER root@localhost IDENTIFIED BY '%s';\nCREATE DATABASE \`%s\`;\n" \
        "$password" "${MARIADB_DATABASE:-${MYSQL_DATABASE:-}}" > /dev/shm/first.sql
    set -- --init-file=/dev/shm/first.sql "$@"
fi
exec mariadbd --user=root --datadir=/var/lib/mysql "$@"
