"""The keys of a profile: type, default and meaning. docs/profiles.md is generated from here."""

import re
from collections.abc import Callable, Mapping

from ..lazy_pattern import lazy_pattern
from ..record import Record

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = lazy_pattern(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+", re.ASCII)
_DURATION_PART = lazy_pattern(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)", re.ASCII)
_PLATFORM = r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9_.]+)?"


def seconds(text: str) -> float | None:
    """Return a duration such as ``1m30s``, ``500ms`` or ``7d`` in seconds, ``None`` when the text is not one."""
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text))


class Type(Record):
    """The type of a value: ``accepts`` validates its text, ``expected`` completes the message "expected …"."""

    name: str
    expected: str
    accepts: Callable[[str], bool]


class Key(Record):
    """One documented key of a profile. ``separator`` splits a list into its items."""

    name: str
    type: Type
    default: str
    doc: str
    example: str
    separator: str = ","


def _matches(pattern: str) -> Callable[[str], bool]:
    # compiled at first use: most profiles use few of the patterns
    return lambda text: re.fullmatch(pattern, text, re.ASCII) is not None


def _choice(*words: str) -> Type:
    return Type("|".join(words), " or ".join(words), lambda text: text in words)


TEXT = Type("text", "text", lambda text: True)
DURATION = Type("duration", "a duration such as 30s", lambda text: seconds(text) is not None)
FLAG = _choice("true", "false")
# Compose's own switches also know 1 and 0: https://docs.docker.com/compose/how-tos/environment-variables/envvars/
SWITCH = _choice("true", "false", "1", "0")
INTEGER = Type("integer", "a whole number such as 4", _matches(r"-?[0-9]{1,9}"))
NICE = Type("nice value", "a whole number from 0 to 19", _matches(r"1?[0-9]"))
COUNT = Type("count", "a whole number from 0 to 99", _matches(r"[0-9]{1,2}"))
STAGE = Type("stage", "the name of a Dockerfile stage such as production", _matches(r"[A-Za-z][A-Za-z0-9_.-]*"))
# https://git-scm.com/docs/git-check-ref-format
TAG_PREFIX = Type("tag prefix", "the beginning of git tags such as shop/ or shop-v",
                  _matches(r"[A-Za-z0-9_](?:[A-Za-z0-9_/-]|\.(?!\.))*"))  # fmt: skip
PLATFORMS = Type("platforms", "os/arch, comma separated, such as linux/amd64,linux/arm64",
                 _matches(rf"{_PLATFORM}(?:,{_PLATFORM})*"))  # fmt: skip
NAMES = Type(
    "names", "variable names, comma separated", _matches(r"[A-Za-z_][A-Za-z0-9_]*(?:,[A-Za-z_][A-Za-z0-9_]*)*")
)
WORDS = Type("words", "words separated by commas", _matches(r"[a-z][a-z0-9-]*(?:,[a-z][a-z0-9-]*)*"))
ENVIRONMENT = Type("environment", "the name of an environment such as staging", _matches(r"[A-Za-z0-9][A-Za-z0-9_-]*"))
SPECS = Type(
    "cache specs",
    "buildx cache specs separated by spaces, such as type=registry,ref=registry.example.com/cache",
    lambda text: all("type=" in spec or "=" not in spec for spec in text.split()),
)
# https://docs.docker.com/reference/compose-file/version-and-name/
PROJECT = Type(
    "project name",
    "a Compose project name: lower-case letters, digits, - and _, first a letter or digit",
    _matches(r"[a-z0-9][a-z0-9_-]*"),
)
PERCENTAGE = Type(
    "percentage", "a percentage from 0 to 100 such as 80 or 72.5", _matches(r"100(?:\.0+)?|[0-9]{1,2}(?:\.[0-9]+)?")
)
# A change may be more than 100 %: twice as slow is 100 %.
CHANGE = Type("percentage", "a percentage such as 10 or 2.5", _matches(r"[0-9]{1,4}(?:\.[0-9]+)?"))
RATE = Type("rate", "requests per second, a whole number from 1 to 100000", _matches(r"[1-9][0-9]{0,4}|100000"))
SIZE = Type("size", "a size such as 512MB or 2GiB", _matches(r"[0-9]{1,9}(?:\.[0-9]+)?(?:B|[kKMG]i?B)?"))
PORT = Type(
    "port",
    "a port of the host, from 1 to 65535",
    lambda text: re.fullmatch(r"[1-9][0-9]{0,4}", text, re.ASCII) is not None and int(text) < 65536,
)
LISTEN = Type(
    "address to listen at",
    "a host and a port such as 127.0.0.1:9010",
    lambda text: (
        re.fullmatch(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]+", text, re.ASCII) is not None
        and PORT.accepts(text.rpartition(":")[2])
    ),
)
# https://prometheus.io/docs/prometheus/latest/configuration/configuration/#configuration-file: no fractions
STORE_DURATION = Type("whole duration", "a duration in whole numbers such as 15s, 1h30m or 15d",
                      _matches(r"(?=[0-9])(?:[1-9][0-9]{0,8}d)?(?:[1-9][0-9]{0,8}h)?(?:[1-9][0-9]{0,8}m(?!s))?"
                               r"(?:[1-9][0-9]{0,8}s)?(?:[1-9][0-9]{0,8}ms)?"))  # fmt: skip
# With a longer one there would be less than two samples in the rules' shortest window, a minute.
INTERVAL = Type("interval", "a whole number of seconds from 1s to 30s", _matches(r"(?:[1-9]|[12][0-9]|30)s"))
STORE_SIZE = Type("store size", "a size such as 512MB or 2GB", _matches(r"[1-9][0-9]{0,8}(?:KB|MB|GB|TB)"))
WEBHOOK = Type("web address", "an address such as https://hooks.example.com/x", _matches(r"https?://[^\s/]+(?:/\S*)?"))
RATIO = Type("ratio", "a number from 0 to 1 such as 0.1", _matches(r"0(?:\.[0-9]+)?|1(?:\.0+)?"))
# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
NAMESPACE = Type("namespace", "the name of a namespace: lower-case letters, digits and -", _matches(_LABEL))
OBJECT = Type("object name", "the name of an object: lower-case letters, digits, - and .",
              _matches(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*"))  # fmt: skip
OBJECTS = Type("object names", "names of objects, comma separated", _matches(rf"{_LABEL}(?:[.,]{_LABEL})*"))
GATEWAY = Type("gateway", "a Gateway as NAME or NAMESPACE/NAME", _matches(rf"(?:{_LABEL}/)?{_LABEL}"))
# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
QUANTITY = Type("quantity", "a size such as 10Gi or 512Mi", _matches(r"[1-9][0-9]{0,8}(?:[kMGTP]|[KMGTP]i)?"))
OCI = Type("OCI repository", "an OCI repository such as oci://registry.example.com/charts",
              _matches(r"oci://[^\s/]+(?:/[a-z0-9._/-]+)?"))  # fmt: skip
# No option, no program (`ext::`), no unauthenticated git://: https://git-scm.com/docs/git-clone#_git_urls
REPOSITORY = Type("repository", "a repository such as https://git.example.com/shop/shop.git or git@host:shop/shop.git",
                  _matches(r"(?:https?|ssh|file)://[^\s]+|[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^\s:]+"
                           r"|/[^\s]+"))  # fmt: skip
# https://git-scm.com/docs/git-check-ref-format
BRANCH = Type("branch", "the name of a branch such as main or release/2",
              _matches(r"(?!.*(?:\.\.|//|/\.|\.lock(?:/|\Z)))[A-Za-z0-9_](?:[A-Za-z0-9_./@+-]*[A-Za-z0-9_@+-])?")
              )  # fmt: skip
ENDPOINT = Type(
    "endpoint",
    "an engine address such as ssh://deploy@host, tcp://host:2376 or unix:///var/run/docker.sock",
    _matches(r"(?:ssh|tcp|unix|npipe|fd|http|https)://.*"),
)

SLIPWAY = (
    Key("BUILD_TARGET", STAGE, "", "Dockerfile stage to build; empty: what the Compose file says.", "production"),
    Key("TAG_PREFIX", TAG_PREFIX, "",
        "What this project's version tags in git begin with, where a repository holds several; empty: `v`.", "shop/"),
    Key("BUILD_PROVENANCE", _choice("off", "min", "max"), "",
        "Provenance attestation of images: how much it tells of the build; empty: the default of the builder.",
        "max"),
    Key("HEALTH_TIMEOUT", DURATION, "60s",
        "How long a deploy waits for every service to be healthy; not set: longer where a health check needs it.",
        "1m30s"),
    Key("ALLOW_INTERRUPTION", FLAG, "true",
        "A deploy may take services away for a while; false: it is refused, unless --allow-interruption is given.",
        "false"),
    Key("DEPLOY_NICE", NICE, "5",
        "How far a deploy gives way to what runs on this machine, as `nice` does; 0: not at all.", "10"),
    Key("SETTLE", DURATION, "10s",
        "How long a new container without a health check has to run before it counts as started.",
        "30s"),
    Key(
        "CONFIRM_DEPLOY",
        FLAG,
        "false",
        "Ask before a deploy, `deploy.down`, `db.migrate` and `db.seed`; without a terminal `--yes` is the answer.",
        "true",
    ),
    Key("KEEP_RELEASES", INTEGER, "10",
        "Releases to keep on the engine; 0: only the serving release, to which a failed deploy returns.", "5"),
    Key("PUBLISH_RELEASES", FLAG, "true",
        "Push each release and its images to the registry that the images name, for engines that promote it.", "false"),
    Key("PROMOTE_FROM", ENVIRONMENT, "",
        "Environment whose serving release a deploy takes over, image by image, instead of building.", "staging"),
    Key("REQUIRE_CLEAN", FLAG, "false", "Refuse a deploy from a checkout with uncommitted changes.", "true"),
    Key("REQUIRE_PUSHED", FLAG, "false", "Refuse a deploy of a commit that no remote branch has.", "true"),
    Key("REQUIRE_EVIDENCE", WORDS, "",
        "Evidence that a deploy requires: passed `tests` of the sources, a passed `scan` of the images.", "tests,scan"),
    Key("REQUIRE_HEALTHCHECK", FLAG, "true", "Refuse to roll out a service that has no health check.", "false"),
    Key("BACKUP_BEFORE_MIGRATE", FLAG, "true", "Back the database up before a deploy with new migrations.", "false"),
    Key("HOOK_TIMEOUT", DURATION, "5m", "How long a hook of a deploy may run.", "30s"),
    Key("LOCK_TTL", DURATION, "60s",
        "How long the deploy lock stays valid without renewal; its holder renews it three times in that time.", "2m"),
    Key("KEEP_BACKUPS", INTEGER, "10", "How many backups of the database are kept, the newest; 0: all.", "30"),
    Key("GENERATE_SECRETS", FLAG, "false",
        "`inv setup` may make missing development secrets and a self-signed certificate.", "true"),
    Key("BASE_IMAGES", _choice("registry", "local"), "registry",
        "Where base images come from: the registry, or stand-ins that `inv image.bases` builds locally.", "local"),
    Key("BASE_IMAGES_FILE", TEXT, "", "Compose file that builds the stand-in base images.",
        "airgap/docker-compose.bases.yml"),
    Key("BASE_IMAGES_OVERRIDE", TEXT, "",
        "Compose override that maps FROM names to the stand-ins; used when BASE_IMAGES=local.",
        "airgap/docker-compose.airgap.yml"),
    Key("CA_BUNDLE", TEXT, "", "File with CA certificates that builds get as the BuildKit secret `ca`.",
        "/etc/ssl/certs/ca-certificates.crt"),
    Key("CACHE_FROM", SPECS, "", "Build caches to read: buildx specs, separated by spaces; `{service}` is the service.",
        "type=registry,ref=registry.example.com/cache:{service}", " "),
    Key("CACHE_TO", SPECS, "", "Build caches to write: the same; `{service}` keeps services from writing to one place.",
        "type=registry,ref=registry.example.com/cache:{service},mode=max", " "),
    Key("PLATFORMS", PLATFORMS, "", "Platforms to build for; empty: the engine's own.", "linux/amd64,linux/arm64"),
    Key("PUSH_RETRIES", COUNT, "4",
        "How often a push or pull is retried when the registry does not answer; the pause doubles from 1 s.", "2"),
    Key("PUSH_TIMEOUT", DURATION, "10m", "How long one push or pull may take before it is retried.", "30m"),
    Key("SIGN_KEY", TEXT, "",
        "Private key with which cosign signs what is pushed: a file, relative to the project directory, or `env://NAME`.",
        "../keys/cosign.key"),
    Key("SIGN_PASSWORD", TEXT, "", "Password of SIGN_KEY; alternatively COSIGN_PASSWORD in the process environment.",
        "correct-horse"),
    Key("VERIFY_KEY", TEXT, "", "Public key that signatures are verified with: a file, or `env://NAME`.",
        "../keys/cosign.pub"),
    Key("VERIFY_SIGNATURES", FLAG, "false", "Refuse a deploy of an image that has no signature by VERIFY_KEY.", "true"),
    Key("COVERAGE_MIN", PERCENTAGE, "",
        "Least statement coverage that `inv test.unit` accepts of each service; empty: any.", "80"),
    Key("TEST_TIMEOUT", DURATION, "10m", "How long the tests of one service may run before they are stopped.", "2m"),
    Key("TEST_MEMORY", SIZE, "2GiB", "Memory limit of a test container.", "512MB"),
    Key("SMOKE_CA", TEXT, "",
        "File with certificates that smoke checks trust as well as the system's, relative to the project directory.",
        "/etc/ssl/staging-ca.crt"),
    Key("LOAD_RATE", RATE, "50", "Requests a second that `inv test.load` sends.", "200"),
    Key("LOAD_DURATION", DURATION, "10s", "How long `inv test.load` sends requests.", "1m"),
    Key("LOAD_P95_MAX", DURATION, "", "Latency that 95 % of the requests must keep under load; empty: any.", "250ms"),
    Key("LOAD_P99_MAX", DURATION, "", "Latency that 99 % of the requests must keep under load; empty: any.", "500ms"),
    Key("LOAD_ERROR_MAX", PERCENTAGE, "1", "Share of requests that may fail under load.", "0.1"),
    Key("BENCH_TIME", DURATION, "500ms", "How long `inv test.bench` measures each benchmark each time.", "1s"),
    Key("BENCH_REGRESSION_MAX", CHANGE, "10",
        "How much worse the median of a benchmark may get before a significant change is a regression.", "5"),
    Key("SCAN_FAIL_ON", _choice("critical", "high", "medium", "low", "none"), "high",
        "Severity from which a finding fails a scan; `none`: findings never do.", "medium"),
    Key("SCAN_OFFLINE", _choice("refuse", "allow"), "refuse",
        "What to do when something could not be checked, for example without a database: exit code 3, or go on.",
        "allow"),
    Key("SCAN_ONLY_FIXED", FLAG, "false", "Let only vulnerabilities fail a scan for which there is a fixed version.",
        "true"),
    Key("SCAN_TIMEOUT", DURATION, "5m", "How long one scanner may run before it counts as failed.", "90s"),
    Key("SCAN_IGNORE_FILE", TEXT, ".slipway-ignore.yaml",
        "File of findings that are accepted until a date, relative to the project directory; it need not exist.",
        "security/accepted.yaml"),
    Key("SCAN_GO_DB", TEXT, "https://vuln.go.dev",
        "Go vulnerability database: a URL (`https:`, `http:`, `file:`) or a directory.",
        "file:///srv/mirrors/vuln.go.dev"),
    Key("SCAN_TOOLS", TEXT, "",
        "Directory, relative to the checkout, with scanners to use instead of those that come with Slipway.",
        "/opt/scanners/bin"),
    Key("SCAN_DB_DIR", TEXT, "",
        "Directory of the vulnerability database, relative to the checkout; empty: in the user's cache.",
        "/srv/ci/trivy-db"),
    Key("SCAN_DB_MAX_AGE", DURATION, "7d", "Age from which the vulnerability database counts as old.", "48h"),
    Key("CHAOS_IMAGE", TEXT, "",
        "Image of the containers that make faults (chaos.inject); empty: built from Debian packages.",
        "registry.example.com/tools/slipway-chaos:1"),
    Key("MONITORING_FILE", TEXT, "",
        "Compose file of the monitoring, relative to the project directory; empty: the project's own "
        "`monitoring/docker-compose.monitoring.yml`, else the one that comes with Slipway.",
        "observe/docker-compose.yml"),
    Key("MONITOR_INTERVAL", INTERVAL, "15s", "How often metrics are read and rules evaluated.", "30s"),
    Key("MONITOR_RETENTION", STORE_DURATION, "15d", "How long metrics are kept.", "90d"),
    Key("MONITOR_RETENTION_SIZE", STORE_SIZE, "2GB", "How much space metrics may take; the oldest go first.", "512MB"),
    Key("PROMETHEUS_PORT", PORT, "9090", "Port of Prometheus, on the loopback interface of the engine's host.",
        "19090"),
    Key("ALERTMANAGER_PORT", PORT, "9093", "Port of Alertmanager, the same.", "19093"),
    Key("JAEGER_PORT", PORT, "16686", "Port of Jaeger's pages and API, the same.", "26686"),
    Key("GRAFANA_PORT", PORT, "3000", "Port of Grafana, the same.", "13000"),
    Key("ALERT_WEBHOOK", WEBHOOK, "",
        "Where alerts are sent; a secret. Empty: the file `alert_webhook` in SECRETS_DIR, else they are only shown.",
        "https://hooks.example.com/services/x"),
    Key("TRACES_SAMPLE_RATIO", RATIO, "0.1", "Share of the requests that are traced.", "1"),
    Key("DEPLOY_METRICS_DIR", TEXT, "",
        "Directory, relative to the checkout, in which deploys leave metrics for a node exporter of this machine; the "
        "one of the monitoring has them without it.",
        "/var/lib/node_exporter/textfile"),
    Key("WATCH_WITHOUT_METRICS", _choice("warn", "fail"), "warn",
        "What a deploy does when there are no metrics in its watch period: go on and say so, or go back.", "fail"),
    Key("ORCHESTRATOR", _choice("compose", "kubernetes"), "compose",
        "What an environment runs on: containers of an engine, or a Kubernetes cluster.", "kubernetes"),
    Key("KUBECONFIG", TEXT, "", "File with the clusters and their users; empty: that of kubectl, `~/.kube/config`.",
        "/etc/slipway/kubeconfig"),
    Key("KUBE_CONTEXT", TEXT, "",
        "The cluster and user of KUBECONFIG to work with; on Kubernetes it is needed: the current one is never taken.",
        "prod-eu"),
    Key("KUBE_NAMESPACE", NAMESPACE, "", "The namespace of the environment; on Kubernetes it is needed.", "shop"),
    Key("KUBE_STORAGE_CLASS", OBJECT, "", "Storage class of volumes that name none; empty: the cluster's default.",
        "fast"),
    Key("KUBE_VOLUME_SIZE", QUANTITY, "",
        "Size of volumes that name none in `x-slipway: {size: …}`; empty: each has to name one.", "10Gi"),
    Key("KUBE_INGRESS_CLASS", OBJECT, "", "Ingress class of services that name none; empty: the cluster's default.",
        "traefik"),
    Key("KUBE_GATEWAY", GATEWAY, "",
        "Gateway that HTTP routes are attached to; empty: services are reached by an Ingress.", "edge/public"),
    Key("KUBE_PULL_SECRETS", OBJECTS, "",
        "Secrets of the namespace with logins for registries, which the nodes pull images with.", "registry-login"),
    Key("KUBE_NODE_TIMEOUT", DURATION, "",
        "How long a node may not answer until its Pods are started on another one; empty: as the cluster has it, 5 m.",
        "30s"),
    Key("MESH", _choice("istio", "linkerd"), "",
        "Service mesh of the cluster, whose sidecars carry the traffic of the environment; empty: none.", "istio"),
    Key("MESH_INGRESS", _choice("outside", "mesh"), "outside",
        "Whether what leads in from outside, the controller of the Ingress or the Gateway, is in the mesh as well.",
        "mesh"),
    Key("HELM_TEST_IMAGE", TEXT, "busybox:1.37",
        "Image with `nc` that asks the services in a `helm test`; the nodes pull it.",
        "registry.example.com/busybox:1"),
    Key("HELM_REPOSITORY", OCI, "", "Where `inv helm.push` puts charts.", "oci://registry.example.com/charts"),
    Key("GITOPS_REPOSITORY", REPOSITORY, "", "Repository whose commits `inv gitops.run` deploys.",
        "git@git.example.com:shop/shop.git"),
    Key("GITOPS_BRANCH", BRANCH, "main", "Branch of it that is deployed.", "production"),
    Key("GITOPS_INTERVAL", DURATION, "60s", "How long `inv gitops.run` waits between two looks at the repository.",
        "5m"),
    Key("GITOPS_ALLOWED_SIGNERS", TEXT, "",
        "File, relative to the settings file, with the SSH keys whose signature a commit needs (`ssh-keygen`, ALLOWED "
        "SIGNERS).",
        "/etc/slipway/allowed_signers"),
    Key("GITOPS_GPG_KEYS", TEXT, "", "File, the same, with the public OpenPGP keys whose signature a commit needs.",
        "/etc/slipway/signers.asc"),
    Key("GITOPS_SIGNING_KEY_FILE", TEXT, "",
        "File, the same, with the SSH key that `inv gitops.export` signs its commits with; empty: as git is "
        "configured.",
        "/etc/slipway/deploy_key"),
    Key("GITOPS_OCI_REPOSITORY", OCI, "", "Where `inv gitops.export --oci` puts the objects.",
        "oci://registry.example.com/deploys"),
    Key("GITOPS_VERIFY", _choice("commit", "tag"), "commit",
        "What has to be signed: the newest commit of the branch, or the newest version tag on it, which is deployed.",
        "tag"),
    Key("GITOPS_DIR", TEXT, "",
        "Directory of the agent's own clone, relative to the settings file; empty: in the user's cache.",
        "/var/lib/slipway/shop"),
    Key("GITOPS_HEAL", _choice("report", "heal"), "report",
        "What the agent does when what runs is not what it has deployed: say so, or deploy the same commit again.",
        "heal"),
    Key("GITOPS_HEAL_MAX", COUNT, "3", "How often it heals within GITOPS_HEAL_WINDOW; after that it only says so.",
        "1"),
    Key("GITOPS_HEAL_WINDOW", DURATION, "1h", "The time in which heals are counted.", "24h"),
    Key("GITOPS_STATUS", _choice("none", "github", "gitlab", "gitea"), "none",
        "Kind of the server that is told by commit status how each deploy went.", "github"),
    Key("GITOPS_STATUS_API", WEBHOOK, "", "Address of its API; empty: that of the host of GITOPS_REPOSITORY.",
        "https://git.example.com/api/v4"),
    Key("GITOPS_STATUS_REPOSITORY", TEXT, "", "Path of the repository there; empty: that of GITOPS_REPOSITORY.",
        "shop/shop"),
    Key("GITOPS_TOKEN_FILE", TEXT, "", "File, relative to the settings file, with the token for that API.",
        "/etc/slipway/status-token"),
    Key("GITOPS_WEBHOOK_LISTEN", LISTEN, "",
        "Address at which `inv gitops.run` listens for webhooks, which only make it look sooner; empty: nowhere.",
        "127.0.0.1:9010"),
    Key("GITOPS_WEBHOOK_SECRET", TEXT, "",
        "Secret of these webhooks, as GitHub, Gitea and GitLab have it; empty: anybody may send one.",
        "correct-horse"),
    Key("SOPS_AGE_KEY_FILE", TEXT, "",
        "File, relative to the settings file, with the age key that decrypts `envs/ENV.sops.env`; empty: where `sops` "
        "looks by itself.",
        "/etc/slipway/age.txt"),
    Key("SECRET_KEYS", NAMES, "", "Further keys whose values are masked wherever they would be shown.", "LICENCE"),
)  # fmt: skip

COMPOSE = (
    Key("COMPOSE_FILE", TEXT, "docker-compose.yml",
        "Compose files, relative to the project directory, later ones on top.",
        "docker-compose.yml:docker-compose.prod.yml", ":"),
    Key("COMPOSE_PROJECT_NAME", PROJECT, "", "Name of the project; containers, networks and volumes carry it.",
        "slipway-dev"),
    Key("COMPOSE_PROFILES", TEXT, "", "Compose profiles to enable, comma separated.", "monitoring"),
    Key("COMPOSE_PARALLEL_LIMIT", INTEGER, "", "How many engine calls Compose makes at once.", "4"),
    Key("COMPOSE_PATH_SEPARATOR", TEXT, ":", "What separates the names in COMPOSE_FILE.", ";"),
    Key("COMPOSE_IGNORE_ORPHANS", SWITCH, "", "Do not mention containers of services that are gone.", "true"),
    Key("COMPOSE_REMOVE_ORPHANS", SWITCH, "", "Remove containers of services that are gone.", "true"),
    Key("COMPOSE_CONVERT_WINDOWS_PATHS", SWITCH, "", "Convert Windows paths in volume definitions.", "true"),
    Key("COMPOSE_STATUS_STDOUT", SWITCH, "", "Write status messages to stdout.", "false"),
    Key("COMPOSE_ANSI", _choice("never", "always", "auto"), "", "Colours in Compose's own output.", "never"),
    Key("COMPOSE_PROGRESS", _choice("auto", "tty", "plain", "json", "quiet"), "", "How Compose shows progress.",
        "plain"),
    Key("COMPOSE_MENU", SWITCH, "", "The menu of an attached `docker compose up`.", "false"),
    Key("COMPOSE_EXPERIMENTAL", SWITCH, "", "Compose's experimental features.", "false"),
    Key("COMPOSE_BAKE", SWITCH, "", "Let Compose build through Bake.", "true"),
)  # fmt: skip

DOCKER = (
    Key("DOCKER_HOST", ENDPOINT, "", "Engine to work on.", "ssh://deploy@staging.example.com"),
    Key("DOCKER_CONTEXT", TEXT, "", "Docker context to work on; not together with DOCKER_HOST.", "staging"),
    Key("DOCKER_TLS_VERIFY", TEXT, "", "Not empty: verify the engine's certificate.", "1"),
    Key("DOCKER_CERT_PATH", TEXT, "", "Directory with the client's TLS certificates.", "/etc/docker/client"),
    Key("DOCKER_CONFIG", TEXT, "", "Directory of Docker's own configuration and logins.", "/srv/ci/docker"),
    Key("DOCKER_DEFAULT_PLATFORM", PLATFORMS, "", "Platform of images when nothing else says one.", "linux/amd64"),
    Key("DOCKER_API_VERSION", TEXT, "", "Engine API version to use.", "1.45"),
    Key("DOCKER_BUILDKIT", SWITCH, "", "Build with BuildKit.", "1"),
    Key("BUILDKIT_PROGRESS", _choice("auto", "tty", "plain", "rawjson", "quiet"), "", "How builds show progress.",
        "plain"),
    Key("BUILDX_BUILDER", TEXT, "", "Buildx builder to build with.", "multi"),
)  # fmt: skip

KEYS: Mapping[str, Key] = {key.name: key for key in (*SLIPWAY, *COMPOSE, *DOCKER)}


def reference() -> str:
    """Return the profile reference as Markdown: a table of the keys of Slipway, of Compose and of Docker."""
    parts = []
    for title, keys in (("Slipway", SLIPWAY), ("Compose", COMPOSE), ("Docker and Buildx", DOCKER)):
        lines = [f"**{title}**", "", "| key | type | default | meaning | example |", "| --- | --- | --- | --- | --- |"]
        for key in keys:
            cells = (f"`{key.name}`", _cell(key.type.name), _code(key.default), _cell(key.doc), _code(key.example))
            lines.append(f"| {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
