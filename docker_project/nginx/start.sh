#!/bin/sh
# nginx cannot read the environment: the redirect to HTTPS must name the port that Compose
# publishes, and which share of the traces is recorded is said by the profile. Everything
# else in the configuration is the same everywhere.
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

# A ratio from 0 to 1 as the percentage of nginx, which has two decimals and no 0 %.
ratio=${TRACES_SAMPLE_RATIO:-0}
case $ratio in
    .*) ratio=0$ratio ;;
esac
case $ratio in
    1 | 1.0 | 1.00) sampled='100% 01;' ;;
    0) sampled= ;;
    0.*[!0-9]* | 0. | [!0]* | 0[!.]*)
        echo "start-nginx: TRACES_SAMPLE_RATIO: expected a number from 0 to 1 such as 0.1, got '$ratio'" >&2
        exit 2 ;;
    *)
        digits=$(printf '%.4s' "${ratio#0.}0000")
        sampled="${digits%??}.${digits#??}% 01;"
        if [ "$digits" = 0000 ]; then sampled=; fi ;;
esac
cat > /tmp/tracing.conf << CONF
split_clients "\$request_id" \$new_trace_flags {
    $sampled
    * 00;
}
CONF
exec "$@"
