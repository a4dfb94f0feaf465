# Stand-ins for the images of the monitoring stack, from Debian packages and, for Jaeger, a Go module: for machines that
# reach no image registry. Built when `inv monitor.up` first needs them; docker-compose.monitoring.yml maps the names in
# ../monitoring/Dockerfile to them. As in the official images: where the program is, its entry point, user and volume.
# The secret is an optional CA bundle, for networks whose proxy inspects TLS.
#
# hadolint global ignore=DL3008
# (DL3008: the suite is the pin. A version pin would break on the next security update.)

# The programs only: the packages would bring users, services and configuration of a host.
FROM slipway-base/debian:trixie AS packages
WORKDIR /packages
RUN --mount=type=cache,id=slipway-lists-monitoring,target=/var/lib/apt/lists,sharing=locked \
    apt-get update \
    && apt-get download prometheus promtool prometheus-alertmanager prometheus-node-exporter \
        prometheus-blackbox-exporter prometheus-postgres-exporter prometheus-redis-exporter \
        prometheus-mysqld-exporter prometheus-nginx-exporter \
    && for file in *.deb; do dpkg-deb --extract "$file" /; done \
    && rm -- *.deb

FROM slipway-base/debian:trixie AS base
USER 65534:65534

# --- Stores ---------------------------------------------------------------------------

# Debian's has no web pages, only the API that they would use.
FROM base AS prometheus
COPY --from=packages /usr/bin/prometheus /usr/bin/promtool /bin/
COPY --from=packages /usr/share/prometheus/web/no-ui /usr/share/prometheus/web/no-ui
USER 0:0
RUN install --directory --owner=65534 --group=65534 /prometheus
USER 65534:65534
WORKDIR /prometheus
VOLUME /prometheus
EXPOSE 9090
ENTRYPOINT ["/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]

FROM base AS alertmanager
COPY --from=packages /usr/bin/prometheus-alertmanager /bin/alertmanager
COPY --from=packages /usr/share/prometheus/alertmanager/*.tmpl /usr/share/prometheus/alertmanager/
USER 0:0
RUN install --directory --owner=65534 --group=65534 /alertmanager
USER 65534:65534
WORKDIR /alertmanager
VOLUME /alertmanager
EXPOSE 9093
ENTRYPOINT ["/bin/alertmanager"]
CMD ["--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager"]

# Without its web pages, which only the official image has: instead of them it shows a placeholder.
FROM slipway-base/golang:1.27 AS jaeger-builder
ARG JAEGER_VERSION=v1.76.0
WORKDIR /src
RUN --mount=type=cache,id=go-modules,target=/go/pkg/mod \
    --mount=type=cache,id=go-build,target=/root/.cache/go-build \
    --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    go mod init example.com/slipway/jaeger \
    && go get -tool "github.com/jaegertracing/jaeger/cmd/jaeger@${JAEGER_VERSION}" \
    && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/jaeger \
        github.com/jaegertracing/jaeger/cmd/jaeger

FROM base AS jaeger
COPY --from=jaeger-builder /out/jaeger /cmd/jaeger/jaeger-linux
USER 10001
VOLUME /tmp
EXPOSE 4317 4318 16686
ENTRYPOINT ["/cmd/jaeger/jaeger-linux"]

# --- Exporters ------------------------------------------------------------------------

FROM base AS node-exporter
COPY --from=packages /usr/bin/prometheus-node-exporter /bin/node_exporter
EXPOSE 9100
ENTRYPOINT ["/bin/node_exporter"]

FROM base AS blackbox-exporter
COPY --from=packages /usr/bin/prometheus-blackbox-exporter /bin/blackbox_exporter
EXPOSE 9115
ENTRYPOINT ["/bin/blackbox_exporter"]
CMD ["--config.file=/etc/blackbox_exporter/config.yml"]

FROM base AS postgres-exporter
COPY --from=packages /usr/bin/prometheus-postgres-exporter /bin/postgres_exporter
EXPOSE 9187
ENTRYPOINT ["/bin/postgres_exporter"]

FROM base AS redis-exporter
COPY --from=packages /usr/bin/prometheus-redis-exporter /redis_exporter
EXPOSE 9121
ENTRYPOINT ["/redis_exporter"]

FROM base AS mysqld-exporter
COPY --from=packages /usr/bin/prometheus-mysqld-exporter /bin/mysqld_exporter
EXPOSE 9104
ENTRYPOINT ["/bin/mysqld_exporter"]

FROM base AS nginx-exporter
COPY --from=packages /usr/bin/prometheus-nginx-exporter /usr/bin/nginx-prometheus-exporter
EXPOSE 9113
ENTRYPOINT ["/usr/bin/nginx-prometheus-exporter"]
