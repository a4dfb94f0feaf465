#!/bin/sh
# Runs what derived images put into /docker-entrypoint.d, then the command, as the
# official image does.
set -eu

case $1 in
    nginx | nginx-debug)
        for file in /docker-entrypoint.d/*.sh; do
            if [ -x "$file" ]; then "$file"; fi
        done ;;
esac
exec "$@"
