#!/bin/sh
# `migrate up`, `migrate status`, `migrate down` …: goose. `migrate seed`: load /seeds.
# Where the database is comes from libpq's variables (PGHOST, PGUSER, PGDATABASE …). The
# password goes from the secret into a password file in memory, which goose and psql both
# read, so it is in no argument, no environment and no `docker inspect`.
set -eu
umask 077

secret=${PGPASSWORD_FILE:-/run/secrets/database_password}
if ! password=$(sed 's/[\\:]/\\&/g' "$secret") || [ -z "$password" ]; then
    echo "migrate: no password in $secret" >&2
    exit 1
fi
export PGPASSFILE="${TMPDIR:-/tmp}/pgpass"
printf '*:*:*:*:%s\n' "$password" > "$PGPASSFILE"
unset password

case ${1:-} in
    seed)
        for file in /seeds/*.sql; do
            if [ ! -e "$file" ]; then
                echo "migrate: this image has no sample data; it is in the stage 'seed'" >&2
                exit 1
            fi
            psql --no-psqlrc --set ON_ERROR_STOP=1 --single-transaction --file "$file"
        done ;;
    *)
        exec goose -dir /migrations "$@" ;;
esac
