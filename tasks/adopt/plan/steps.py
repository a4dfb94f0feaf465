"""What works with an adopted project now, what is missing for each further step, and the line to add."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ...model.stack.extension import RECREATE
from ...model.stack.presets import images
from ...model.stack.stack import Service, Stack

_DEVELOPMENT = ("dev", "dev-envs", "development", "debug")
_NAMED = 3  # services that a row of the table names
_PRODUCTION = ("prod", "production", "release", "runtime", "final")


@dataclass(frozen=True)
class Gap:
    """What is missing: for which service or file, what, and the line to add."""

    where: str
    what: str
    line: str


@dataclass(frozen=True)
class ProductionStep:
    """A step on the way to production; it works when no gap is left. ``task`` is how it is taken."""

    name: str
    task: str
    gaps: tuple[Gap, ...] = ()

    @property
    def works(self) -> bool:
        """Whether the step can be taken now."""
        return not self.gaps


@dataclass(frozen=True)
class Facts:
    """What is known of a project: its stack, with the services of all Compose profiles, and the stages of Dockerfiles.

    ``optional`` are the services that only a Compose profile starts. ``tested``: there is an environment `test`.
    ``port_variables`` are the variables that set the ports of services.
    ``written`` are the names of secrets that stand in the Compose files, by service, ``refused`` what a deploy of dev
    refuses, ``wanted`` the variables that have no value and need one, by environment, and
    ``exposed`` the services whose build context would take the profiles in. ``test_file`` is a Compose file for tests.
    ``git``: the project is in a checkout. ``empty`` are secrets that are empty, ``database`` what the override says
    of the main database. ``same_files``: production is made of the Compose files of development.
    """

    stack: Stack
    stages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    written: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    refused: tuple[tuple[str, str], ...] = ()
    wanted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exposed: tuple[str, ...] = ()
    test_file: str = ""
    git: bool = True
    database: str = ""
    empty: tuple[str, ...] = ()
    same_files: bool = False
    optional: frozenset[str] = frozenset()
    tested: bool = True
    port_variables: Mapping[str, str] = field(default_factory=dict)

    def kept_up(self) -> list[Service]:
        """Return the services that a deploy starts and keeps running."""
        return [
            service
            for service in self.stack.services.values()
            if service.replicas and not self.stack.one_off(service) and service.name not in self.optional
        ]


def steps(facts: Facts) -> tuple[ProductionStep, ...]:
    """Return the steps in the order in which they are usually taken; those of builds only where something is built."""
    built = (
        ProductionStep("production images", "inv build.prod", tuple(_images(facts))),
        ProductionStep("unit tests", "inv test.unit", tuple(_unit(facts))),
    )
    return (
        *(ProductionStep(f"deploy {name}", f"inv deploy.{name}", tuple(_deploy(facts, name))) for name in facts.wanted),
        ProductionStep("health", "inv deploy.status", tuple(_health(facts))),
        ProductionStep("zero-drop rollout", "inv deploy.plan", tuple(_rollout(facts))),
        ProductionStep("smoke checks", "inv test.smoke", tuple(_smoke(facts))),
        *(built if facts.stages else ()),
        ProductionStep("integration tests", "inv test.integration", tuple(_integration(facts))),
        ProductionStep("backups", "inv db.backup", tuple(_backups(facts))),
        ProductionStep("secrets", "inv scan.secrets", tuple(_secrets(facts))),
        ProductionStep("environments on one engine", "inv deploy.staging", tuple(_together(facts))),
        ProductionStep("versions", "inv image.tags", tuple(_versions(facts))),
    )


def _deploy(facts: Facts, environment: str) -> Iterator[Gap]:
    for reason, hint in facts.refused if environment == "dev" else ():
        yield Gap(reason.partition(":")[0], reason.partition(": ")[2] or reason, hint)
    for name in facts.wanted[environment]:
        yield Gap(f"{environment}.local.env", f"{name} has no value", f"{name}=…")


def _health(facts: Facts) -> Iterator[Gap]:
    for service in facts.kept_up():
        if not service.health_check:
            unknown = "" if service.build else ", unless its image has one"
            yield Gap(service.name, f"no health check{unknown}", images.health_line(service))


def _rollout(facts: Facts) -> Iterator[Gap]:
    proxy = next(
        (service for service in facts.kept_up() if service.slipway.proxy.upstreams or images.proxy(service)), None
    )
    ready = []
    for service in facts.kept_up():
        if images.database(service) or service is proxy or service.rollout != RECREATE:
            continue  # a database and the proxy stop before their successors start
        if obstacle := _obstacle(service):
            yield Gap(service.name, *obstacle)
        elif proxy is None:
            yield Gap(service.name, "no proxy that could lead to two containers", "docs/proxies.md: put one in front")
        else:
            ready.append(service)
    for service in ready:
        yield Gap(service.name, "it is recreated, though two could run at once", "x-slipway: {rollout: blue-green}")
    if proxy and ready and not proxy.slipway.proxy.upstreams:
        line = f"x-slipway: {{proxy: {{kind: {images.proxy(proxy)}}}}}"
        yield Gap(proxy.name, "it does not say how it is led to new containers (docs/proxies.md)", line)


def _obstacle(service: Service) -> tuple[str, str] | None:
    """Return why two containers of a service cannot run at once, and what to write; None when they can."""
    if service.container_name:
        return "only one container can have its container_name", "take container_name out"
    if service.network_mode == "host" or service.network_mode.startswith(("service:", "container:")):
        return f"network_mode: {service.network_mode}: both would listen on the same ports", "networks: [default]"
    fixed = [str(port) for port in service.ports if port.published]
    if fixed:
        return (
            f"two containers at once cannot publish port {fixed[0]}",
            "a proxy publishes the port instead (docs/proxies.md)",
        )
    if service.volumes:
        return (
            f"keeps data in {service.volumes[0]}: it is stopped before its successor starts",
            "x-slipway: {rollout: start-first}, if two containers may share it",
        )
    if not service.health_check:
        return "no health check says when a new container can take over", "its healthcheck, see above"
    return None


def _smoke(facts: Facts) -> Iterator[Gap]:
    published = [
        service
        for service in facts.kept_up()
        if not images.database(service) and any(port.published and port.protocol == "tcp" for port in service.ports)
    ]
    if any(service.slipway.smoke for service in facts.stack.services.values()):
        return
    for service in published:
        yield Gap(service.name, "no URL is asked after a deploy", smoke_line(service))
    if not published:
        yield Gap(
            "", "no service publishes a port that could be asked", "x-slipway: {smoke: [{url: …, from: container}]}"
        )


def smoke_line(service: Service) -> str:
    """Return the smoke check of the first port that a service publishes, as a line of YAML."""
    port = next(port for port in service.ports if port.published and port.protocol == "tcp")
    secure = "s" if port.target in (443, 8443) else ""
    return f'x-slipway: {{smoke: [{{url: "http{secure}://localhost:{port.published}/"}}]}}'


def _images(facts: Facts) -> Iterator[Gap]:
    """Yield the services that production builds from a stage that is made for development."""
    for service in facts.stack.services.values() if facts.same_files else ():
        target = service.build.target if service.build else ""
        if target.lower() in _DEVELOPMENT:
            better = next((stage for stage in facts.stages.get(service.name, ()) if stage.lower() in _PRODUCTION), "")
            stage = "" if better else "a stage production, "
            line = f"{stage}target: ${{BUILD_TARGET:-{target}}}, and BUILD_TARGET={better or 'production'} in prod.env"
            yield Gap(service.name, f"production would build its stage {target}", line)


def _unit(facts: Facts) -> Iterator[Gap]:
    yield from _without_environment(facts)
    for name, stages in facts.stages.items():
        wanted = facts.stack.services[name].slipway.tester_target
        if wanted not in stages:
            first = stages[0] if stages else "…"
            yield Gap(name, f"its Dockerfile has no stage {wanted}", f"FROM {first} AS {wanted}, RUN the tests in it")


def _without_environment(facts: Facts) -> Iterator[Gap]:
    if not facts.tested:
        file = f", with {facts.test_file} in its COMPOSE_FILE" if facts.test_file else ""
        yield Gap("", "there is no environment test", f"inv env.new test{file}")


def _integration(facts: Facts) -> Iterator[Gap]:
    yield from _without_environment(facts)
    if not any(service.slipway.job == "test" for service in facts.stack.services.values()):
        what = "no service says that it tests the running stack"
        yield Gap("", what, "x-slipway: {job: test} and profiles: [test]")


def _backups(facts: Facts) -> Iterator[Gap]:
    if any(service.slipway.backup for service in facts.stack.services.values()):
        return
    service = images.main_database(facts.stack.services.values())
    if service is None:
        yield Gap("", "no database that is known", "x-slipway: {role: database, backup: …} (docs/compose-extension.md)")
    else:
        line = f"x-slipway: {{database: {images.database(service)}}}"
        yield Gap(service.name, "how it is backed up is not said", f"{line} (docs/databases.md)")


def _secrets(facts: Facts) -> Iterator[Gap]:
    for name, keys in facts.written.items():
        yield Gap(
            name,
            f"written out in the Compose files: {', '.join(keys)}",
            f"{keys[0]}: ${{{keys[0]}}}, the value in *.local.env",
        )
    for key in facts.empty:
        yield Gap("dev.local.env", f"{key} is empty", f"{key}=…")
    for name in facts.exposed:
        yield Gap(name, "its build context has the profiles, those with secrets too", ".dockerignore: **/*.local.env")


def _together(facts: Facts) -> Iterator[Gap]:
    for service in facts.kept_up():
        if service.container_name:
            yield Gap(service.name, "its container_name can exist once", "take container_name out")
        port = next((port for port in service.ports if port.published), None)
        if port and (variable := facts.port_variables.get(service.name)):
            yield Gap(service.name, f"port {port} is the same in all of them", f"{variable}=… in staging.env")
        elif port:
            variable = f"{service.name.upper().replace('-', '_')}_PORT"
            line = f'ports: ["${{{variable}:-{port.published}}}:{port.target}"]'
            yield Gap(service.name, f"port {port} can be published once, unless it is a variable", line)


def _versions(facts: Facts) -> Iterator[Gap]:
    if not facts.git:
        yield Gap(
            "",
            "not in git: images have no version, and a release names no commit",
            "git init && git add . && git commit",
        )


def rows(steps: Iterable[ProductionStep]) -> Iterator[tuple[str, str, str, str]]:
    """Yield the rows of the table; services that lack the same thing share one."""
    for step in steps:
        if step.works:
            yield step.name, "yes", step.task, ""
        shared: dict[tuple[str, str], list[str]] = {}
        for gap in step.gaps:
            shared.setdefault((gap.what, gap.line), []).append(gap.where)
        for number, ((what, line), places) in enumerate(shared.items()):
            more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
            where = f"{', '.join(places[:_NAMED])}{more}"
            first = (step.name, "no") if number == 0 else ("", "")
            yield *first, f"{where}: {what}" if where else what, line
