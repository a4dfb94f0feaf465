#!/usr/bin/env bash
# The start-up contract of the official postgres image, as far as images derived from it
# rely on it: POSTGRES_{USER,PASSWORD,DB,INITDB_ARGS}[_FILE], POSTGRES_HOST_AUTH_METHOD,
# PGDATA, /docker-entrypoint-initdb.d. https://hub.docker.com/_/postgres
set -Eeuo pipefail

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

# Sets $1 from the file named by ${1}_FILE, else from itself, else to $2.
from_file() {
    local name=$1 file_name=${1}_FILE default=${2:-} value
    if [ -n "${!name:-}" ] && [ -n "${!file_name:-}" ]; then
        fail "both $name and $file_name are set (but are exclusive)"
    fi
    value=${!name:-$default}
    if [ -n "${!file_name:-}" ]; then
        [ -r "${!file_name}" ] || fail "$file_name: cannot read ${!file_name}"
        value=$(< "${!file_name}")
    fi
    export "$name"="$value"
    unset "$file_name"
}

# $@ is the server's command line: its settings apply to the temporary server too.
initialise() {
    local auth=${POSTGRES_HOST_AUTH_METHOD:-}
    if [ -z "$POSTGRES_PASSWORD" ] && [ "$auth" != trust ]; then
        fail 'Database is uninitialized and superuser password is not specified.
       Set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE to a non-empty value.
       POSTGRES_HOST_AUTH_METHOD=trust allows all connections without one.'
    fi

    # POSTGRES_INITDB_ARGS is a line of shell words, as in the official image. The password
    # is in a pipe: the root file system may be read-only.
    eval 'initdb --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD")' "$POSTGRES_INITDB_ARGS"
    shift
    printf '\nhost all all all %s\n' "${auth:-$(postgres -C password_encryption "$@")}" >> "$PGDATA/pg_hba.conf"

    # Only on its socket, so that no client mistakes it for the finished server.
    set -- "$@" -c listen_addresses=
    pg_ctl --pgdata="$PGDATA" --wait --options="$(printf '%q ' "$@")" start
    local sql=(psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --username="$POSTGRES_USER")
    if [ "$POSTGRES_DB" != postgres ]; then
        "${sql[@]}" --dbname=postgres --set=name="$POSTGRES_DB" <<< 'CREATE DATABASE :"name";'
    fi
    run_scripts "${sql[@]}" --dbname="$POSTGRES_DB"
    pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
    printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

run_scripts() {
    local sql=("$@") file
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh)
                # shellcheck source=/dev/null
                if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
            *.sql) "${sql[@]}" --file="$file" ;;
            *.sql.gz) gunzip --stdout "$file" | "${sql[@]}" ;;
            */\*) ;;
            *) printf '%s: ignoring %s\n' "$0" "$file" ;;
        esac
    done
}

main() {
    if [ "${1:0:1}" = - ]; then
        set -- postgres "$@"
    fi
    if [ "$1" = postgres ]; then
        if [ "$(id --user)" = 0 ]; then
            mkdir -p "$PGDATA" /var/run/postgresql
            chown -R postgres:postgres "$PGDATA" /var/run/postgresql
            exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
        fi
        mkdir -p "$PGDATA"
        chmod 0700 "$PGDATA" 2> /dev/null || :
        if [ ! -s "$PGDATA/PG_VERSION" ]; then
            from_file POSTGRES_PASSWORD
            from_file POSTGRES_USER postgres
            from_file POSTGRES_DB "$POSTGRES_USER"
            from_file POSTGRES_INITDB_ARGS
            initialise "$@"
            unset POSTGRES_PASSWORD
        else
            printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
        fi
    fi
    exec "$@"
}

main "$@"
