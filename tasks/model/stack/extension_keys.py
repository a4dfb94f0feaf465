"""The keys of ``x-slipway`` as data: validation uses them, and docs/compose-extension.md is generated from them."""

from collections.abc import Sequence

from ..record import Record
from .proxies.kinds import KINDS
from .telemetry.metrics import DURATION, NO_EXPORTER, STATUS
from .telemetry.metrics import KINDS as EXPORTERS


class ExtensionKey(Record):
    """A key under ``x-slipway``. ``name`` is its path, ``example`` is YAML; ``default`` is "" where there is none."""

    name: str
    kind: str
    default: str
    doc: str
    example: str


_SECONDS = "duration"
_COMMAND = "list of words"

SERVICE: tuple[ExtensionKey, ...] = (
    ExtensionKey("job", "migrate, seed, test, once", "",
          "A container that is meant to end. `db.migrate` and `db.seed` run those with `migrate` and `seed`; "
          "`test` tests the running stack (`test.integration`): give it a Compose profile, so that `up` does "
          "not start it. A service that another one waits for with `service_completed_successfully` is a job "
          "without saying so: `once`.",
          "job: migrate"),
    ExtensionKey("role", "database, load-generator", "",
          "`db.shell`, `db.backup` and `db.restore` work on the database, `--service` says on which of several; "
          "`test.load` starts the load generator, which needs a network of the targets and a Compose profile.",
          "role: database"),
    ExtensionKey("database", "postgres, mysql, mariadb, mongo, redis", "",
          "The service is this database server, configured as its official image is: `role`, `client`, `data` and "
          "the keys of `backup` are known, each as long as it is not said here ([databases](databases.md)).",
          "database: postgres"),
    ExtensionKey("client", _COMMAND, "",
          "On the database: the client that `db.shell` runs in its container.", "client: [psql, --username=shop]"),
    ExtensionKey("data", "absolute path", "",
          "On the database: where its files are, so that throw-away stacks can start with a filled copy.",
          "data: /var/lib/postgresql/data"),
    ExtensionKey("backup.name", "name", "",
          "On the database: what the database is called; `{database}` in the commands.", "backup: {name: shop}"),
    ExtensionKey("backup.snapshot", _COMMAND, "",
          "Prints the name of a snapshot of the data, then a line `table rows` for each table, then an empty line;"
          " keeps the snapshot until its stdin ends.",
          'backup: {snapshot: [/bin/snapshot, "{database}"]}'),
    ExtensionKey("backup.dump", _COMMAND, "",
          "Writes what `{snapshot}` shows to stdout.",
          'backup: {dump: [pg_dump, --format=custom, "--snapshot={snapshot}", "{database}"]}'),
    ExtensionKey("backup.list", _COMMAND, "",
          "Reads a dump on stdin and prints what is in it.", "backup: {list: [pg_restore, --list]}"),
    ExtensionKey("backup.create", _COMMAND, "",
          "Makes the empty database `{scratch}`.", 'backup: {create: [createdb, "{scratch}"]}'),
    ExtensionKey("backup.restore", _COMMAND, "",
          "Fills `{scratch}` with the dump on its stdin.", 'backup: {restore: [pg_restore, "--dbname={scratch}"]}'),
    ExtensionKey("backup.tables", _COMMAND, "",
          "Prints the `table rows` of `{scratch}`.", 'backup: {tables: [/bin/rows, "{scratch}"]}'),
    ExtensionKey("backup.swap", _COMMAND, "",
          "Renames `{database}` to `{former}` and `{scratch}` to `{database}`: both or neither.",
          'backup: {swap: [/bin/swap, "{database}", "{scratch}", "{former}"]}'),
    ExtensionKey("backup.drop", _COMMAND, "",
          "Removes `{scratch}` if it is there.", 'backup: {drop: [dropdb, --if-exists, "{scratch}"]}'),
    ExtensionKey("rollout", "recreate, start-first, blue-green, canary", "`recreate`",
          "How new containers take over ([releases](releases.md)). `deploy.update_config.order: start-first` of"
          " Compose counts too.",
          "rollout: blue-green"),
    ExtensionKey("canary.weight", "list of percentages", "`[5, 25, 50]`",
          "The shares of requests that new containers get in turn before they get all, each watched; says "
          "`rollout: canary` ([releases](releases.md#canary)).",
          "canary: {weight: [5, 25, 50], every: 1m}"),
    ExtensionKey("canary.every", _SECONDS, "`1m`",
          "How long each share is watched.", "canary: {weight: [5, 25, 50], every: 1m}"),
    ExtensionKey("watch.errors", "percentage", "",
          "While new containers are watched: how many more of their requests may fail than of those of the old ones, "
          "by Prometheus; more, and the deploy goes back ([releases](releases.md#watched-by-numbers)).",
          "watch: {errors: 1%}"),
    ExtensionKey("watch.p99", "factor or duration", "",
          "The same for their p99, the time that 99 of 100 requests stay below: how many times that of the old ones it "
          "may be, or how long.",
          "watch: {p99: 2x}"),
    ExtensionKey("watch.requests", "number", "`50`",
          "With fewer requests to the new containers nothing is judged, and the deploy says so.",
          "watch: {errors: 1%, requests: 200}"),
    ExtensionKey("proxy.kind", ", ".join(KINDS), "",
          "On the proxy: what it is; the keys below have the values that fit it ([proxies](proxies.md)).",
          "proxy: {kind: haproxy}"),
    ExtensionKey("proxy.upstreams", "absolute path", "by kind",
          "On the proxy: the directory of the files that name the servers of a service ([proxies](proxies.md)).",
          "proxy: {upstreams: /etc/proxy/upstreams}"),
    ExtensionKey("proxy.check", _COMMAND, "by kind",
          "On the proxy: the command that says whether it accepts its configuration.",
          "proxy: {upstreams: /etc/proxy/upstreams, check: [proxy, --check]}"),
    ExtensionKey("proxy.reload", "signal", "by kind, else `HUP`",
          "On the proxy: the signal to read the files again.",
          "proxy: {upstreams: /etc/proxy/upstreams, reload: USR2}"),
    ExtensionKey("proxy.workers", "text", "by kind",
          "On the proxy: what its serving processes are called, so that a deploy can wait until old ones have "
          "finished.",
          'proxy: {upstreams: /etc/proxy/upstreams, workers: "proxy: worker"}'),
    ExtensionKey("proxy.drain", _SECONDS, "`10s` for caddy and traefik, else `0s`",
          "On a proxy without workers: how long a deploy waits at most, after the watch period, until the proxy has no"
          " connection to the old containers any more.",
          "proxy: {kind: traefik, drain: 30s}"),
    ExtensionKey("proxy.api", "URL", "`http://127.0.0.1:8080`",
          "On a proxy of kind traefik: where its API answers inside the container.",
          "proxy: {kind: traefik, api: \"http://127.0.0.1:9000\"}"),
    ExtensionKey("proxy.maintenance", "absolute path", "",
          "On the proxy: a file in a volume. While it exists the proxy answers 503 (`deploy.maintenance`).",
          "proxy: {upstreams: /etc/proxy/upstreams, maintenance: /etc/proxy/upstreams/maintenance}"),
    ExtensionKey("reload.check", _COMMAND, "",
          "A change of mounted configuration is checked by this command in the container and then read again in"
          " place, without a new container.",
          "reload: {check: [proxy, --check]}"),
    ExtensionKey("reload.signal", "signal", "`HUP`",
          "The signal on which the changed configuration is read again.", "reload: {signal: USR1}"),
    ExtensionKey("reload.secrets", "true, false", "`false`",
          "The secrets of the service are read again on that signal, too: a changed secret needs no new container "
          "([releases](releases.md)).",
          "reload: {secrets: true}"),
    ExtensionKey("settle", _SECONDS, "`update_config.monitor`, else `SETTLE` of the profile",
          "How long a new container without a health check has to run before it counts as started.",
          "settle: 30s"),
    ExtensionKey("live", "list of bind sources", "",
          "Bind sources that the service reads while it runs: a change in them is no reason for a new "
          "container.",
          "live: [./src]"),
    ExtensionKey("smoke[].url", "URL", "",
          "What `test.smoke` and a deploy ask.", "smoke: [{url: http://localhost:8080/health}]"),
    ExtensionKey("smoke[].method", "GET, HEAD", "`GET`",
          "How it is asked.", "smoke: [{url: http://localhost/, method: HEAD}]"),
    ExtensionKey("smoke[].status", "HTTP status", "`200`",
          "The status that is expected.", "smoke: [{url: http://localhost/old, status: 301}]"),
    ExtensionKey("smoke[].body", "regular expression", "",
          "What the body must contain.", 'smoke: [{url: http://localhost/, body: "ok|ready"}]'),
    ExtensionKey("smoke[].timeout", _SECONDS, "`5s`",
          "How long the whole answer may take, up to 60 s.", "smoke: [{url: http://localhost/, timeout: 10s}]"),
    ExtensionKey("smoke[].from", "host, container", "`host`",
          "Where it is asked from: this machine, or the service's container.",
          "smoke: [{url: http://localhost:8080/, from: container}]"),
    ExtensionKey("smoke[].version.json", "name", "",
          "The member of the JSON answer that must be the version of the running image.",
          "smoke: [{url: http://localhost/version, version: {json: version}}]"),
    ExtensionKey("smoke[].version.service", "service", "the service itself",
          "Whose image's version is compared.",
          "smoke: [{url: http://localhost/version, version: {json: version, service: web}}]"),
    ExtensionKey("load.targets", "list of `METHOD URL`", "",
          "What `test.load` asks; GET and HEAD only.", 'load: {targets: ["GET http://web:80/"]}'),
    ExtensionKey("metrics.port", "port", "",
          "The port of the container at which the service has metrics for Prometheus ([monitoring](monitoring.md)).",
          "metrics: {port: 9464}"),
    ExtensionKey("metrics.path", "path", "`/metrics`",
          "The path of the metrics; with `exporter: nginx` of its status, `/stub_status`.",
          "metrics: {port: 9464, path: /internal/metrics}"),
    ExtensionKey("metrics.duration", "metric", f"`{DURATION}`",
          "The histogram with how long requests took, in seconds.",
          "metrics: {port: 9464, duration: http_request_seconds}"),
    ExtensionKey("metrics.status", "label", f"`{STATUS}`",
          "The label of that histogram with the HTTP status.", "metrics: {port: 9464, status: code}"),
    ExtensionKey("metrics.exporter", f"{', '.join(EXPORTERS)}, {NO_EXPORTER}", "by `database`",
          "The service has no metrics itself: this exporter asks it and has them. For nginx say the port at which it "
          "has `stub_status`.",
          "metrics: {exporter: nginx, port: 8083}"),
    ExtensionKey("slo[].name", "name", "",
          "An objective of the requests to the service ([monitoring](monitoring.md#alerts-and-objectives)): what it is"
          " called.",
          "slo: [{name: availability, objective: 99.9%}]"),
    ExtensionKey("slo[].objective", "percentage", "",
          "How many of the requests within 30 days are to be answered without an error of the server (5xx).",
          "slo: [{name: availability, objective: 99.9%}]"),
    ExtensionKey("slo[].latency", _SECONDS, "",
          "They are to be answered within this time instead; one of the bounds of the histogram's buckets.",
          "slo: [{name: fast, objective: 99%, latency: 300ms}]"),
    ExtensionKey("liveness", "true, false", "`false`",
          "On Kubernetes: a container that fails its health check for three times as long as it takes to be unhealthy "
          "is started again. Without it the Pod only gets no traffic.",
          "liveness: true"),
    ExtensionKey("scale.min", "number", "`1`",
          "On Kubernetes: how many Pods there are at least, by a HorizontalPodAutoscaler.",
          "scale: {min: 2, max: 10, cpu: 70%}"),
    ExtensionKey("scale.max", "number", "",
          "How many Pods there are at most.", "scale: {min: 2, max: 10}"),
    ExtensionKey("scale.cpu", "percentage", "`80%`",
          "Which share of the CPU that the service asks for (`deploy.resources`, `cpus`) its Pods use on average when "
          "their number is right.",
          "scale: {max: 5, cpu: 70%}"),
    ExtensionKey("ingress.host", "host", "every host",
          "On Kubernetes: requests for this host are led to the service, by an Ingress, or an HTTPRoute where the "
          "profile names a Gateway.",
          "ingress: {host: shop.example.com}"),
    ExtensionKey("ingress.path", "path", "`/`",
          "The requests whose path begins with it.", "ingress: {host: shop.example.com, path: /api}"),
    ExtensionKey("ingress.port", "port", "the published one",
          "The port of the container, which speaks plain HTTP; needed where there are several.",
          "ingress: {host: shop.example.com, port: 8080}"),
    ExtensionKey("ingress.tls", "Secret, or `issuer:` and a ClusterIssuer", "plain HTTP",
          "The Secret of the cluster that has the certificate; or who issues it by cert-manager.",
          "ingress: {host: shop.example.com, tls: \"issuer:letsencrypt\"}"),
    ExtensionKey("ingress.class", "IngressClass", "KUBE_INGRESS_CLASS of the profile",
          "Which controller it is for.", "ingress: {host: shop.example.com, class: internal}"),
    ExtensionKey("ingress.annotations", "mapping", "",
          "Annotations of the Ingress or the HTTPRoute: what its controller is told.",
          'ingress: {host: shop.example.com, annotations: {example.com/timeout: "30"}}'),
    ExtensionKey("accept", "item: reason", "",
          "`scan.hardening` accepts the item, or `kube.report` what it refuses, for this reason. At top level: for all "
          "services.",
          'accept: {CIS-5.14: "the way in"}'),
    ExtensionKey("debug-target", "stage", "`debug`",
          "The stage that `shell` starts next to a container that has no shell.", "debug-target: tools"),
    ExtensionKey("tester-target", "stage", "`tester`",
          "The stage that `test.unit` runs; it writes `/reports/junit.xml`, and `/reports/coverage.out` if it "
          "measures Go coverage.",
          "tester-target: unit"),
    ExtensionKey("cover-target", "stage", "`cover`",
          "The stage that replaces the service's own in integration tests: it writes Go coverage to `/coverage`"
          " and has `/covdata` to read it.",
          "cover-target: coverage"),
    ExtensionKey("size-budget", "size", "", "`build.size` exits 5 when the image is larger.", "size-budget: 20MB"),
)  # fmt: skip

PROJECT: tuple[ExtensionKey, ...] = (
    ExtensionKey("secrets.NAME.generate", "password, self-signed-certificate", "",
          "`setup` makes the missing file of the Compose secret NAME where the profile says "
          "`GENERATE_SECRETS=true`.",
          "secrets: {token: {generate: password}}"),
    ExtensionKey("secrets.NAME.key", "secret", "",
          "With `self-signed-certificate`: the secret that gets the certificate's key.",
          "secrets: {token: {generate: self-signed-certificate, key: token}}"),
    ExtensionKey("accept", "item: reason", "",
          "`scan.hardening` accepts the item for every service, or `kube.report` what it refuses.",
          'accept: {CIS-5.15: "restarted on purpose"}'),
    ExtensionKey("openslo", "list of files", "",
          "Files with objectives as OpenSLO v1 documents (kinds SLO and SLI), relative to the project directory.",
          "openslo: [slo/shop.yaml]"),
    ExtensionKey("rootfs.suite", "Debian suite", "",
          "`image.bases` builds stand-in base images from this suite.", "rootfs: {suite: trixie, file: base.tar}"),
    ExtensionKey("rootfs.file", "path", "",
          "The tar file that it makes of the suite.", "rootfs: {suite: trixie, file: base.tar}"),
    ExtensionKey("rootfs.include", "list of packages", "",
          "Additional packages of the root file system.",
          "rootfs: {suite: trixie, file: base.tar, include: [ca-certificates]}"),
)  # fmt: skip


def keys(fields: Sequence[ExtensionKey], path: str = "") -> tuple[str, ...]:
    """Return the names of the keys right under a path, in their order: ``proxy`` has upstreams, check, …"""
    below = [
        field.name.replace("[]", "")[len(path) :] for field in fields if field.name.replace("[]", "").startswith(path)
    ]
    return tuple(dict.fromkeys(name.split(".")[0] for name in below))


def reference() -> str:
    """Return the reference of ``x-slipway`` as Markdown tables."""
    head = "| key | value | default | meaning | example |\n| --- | --- | --- | --- | --- |"
    parts = []
    for title, fields in (("Of a service", SERVICE), ("At the top of the Compose file", PROJECT)):
        rows = [
            f"| `{field.name}` | {field.kind} | {field.default} | {field.doc} | `{field.example}` |" for field in fields
        ]
        parts.append("\n".join((f"## {title}\n", head, *(row.replace("|ready", "\\|ready") for row in rows))))
    return "\n\n".join(parts) + "\n"
