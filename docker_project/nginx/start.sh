#!/bin/sh
# nginx cannot read the environment, and the redirect to HTTPS must name the port that
# Compose publishes. Everything else in the configuration is the same everywhere.
set -eu

port=${PUBLIC_HTTPS_PORT:-443}
case $port in
    443) suffix= ;;
    *[!0-9]*)
        echo "start-nginx: PUBLIC_HTTPS_PORT: expected a port number, got '$port'" >&2
        exit 2 ;;
    *) suffix=:$port ;;
esac
cat > /tmp/https-port.conf << CONF
map "" \$https_port_suffix {
    default "$suffix";
}
CONF
exec "$@"
