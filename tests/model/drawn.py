"""What hypothesis draws: stacks, their releases, faults, and interference by other people or processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from hypothesis import strategies as st

from .deploying import FAULTS, Fault, Project, Spec
from .simulated import CRASH, GOOD, LATE, NEVER, World

PROJECT = "shop"
NAMES = ("s0", "s1", "s2", "s3", "front", "job", "app")
SHARES = (5, 40)  # of a canary
NEW = "x"  # the end of a renamed service's name


@dataclass(frozen=True, repr=False)
class Part:
    """A service of a stack, and the versions of its image, source, environment and files."""

    name: str
    rollout: str = "recreate"
    replicas: int = 1
    parallelism: int = 0
    failure: str = "rollback"
    health: bool = True
    restart: bool = False
    after: tuple[tuple[str, str, bool], ...] = ()
    shares: str = ""
    port: int = 0
    secret: bool = False
    config: str = ""
    foreign: bool = False
    proxy: bool = False
    job: bool = False
    image: int = 0
    behaviour: str = GOOD
    source: int = 0
    environment: int = 0
    file: int = 0
    renamed: bool = False
    present: bool = True

    def __repr__(self) -> str:
        """Return the fields that differ from the defaults."""
        usual = Part(self.name)
        names = [item.name for item in fields(self) if getattr(self, item.name) != getattr(usual, item.name)]
        return f"Part({', '.join([repr(self.name), *(f'{name}={getattr(self, name)!r}' for name in names)])})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # hypothesis prints every field of a dataclass otherwise

    @property
    def called(self) -> str:
        """The service's name, after a rename."""
        return self.name + NEW * self.renamed


@dataclass(frozen=True)
class Drawn:
    """A drawn stack."""

    parts: tuple[Part, ...]
    network: int = 0
    root: str = "/src"

    def spec(self) -> Spec:
        """Return the checkout."""
        parts = [part for part in self.parts if part.present]
        named = {part.name: part.called for part in parts}
        services = {part.called: self._raw(part, named) for part in parts}
        images, disk, secrets = {}, {}, {}
        for part in parts:
            prefix = "job" if part.job else "foreign" if part.foreign else "built"
            content = f"{prefix}-{part.name}-{part.image}-{part.behaviour}"
            source = "" if part.foreign else f"{content}-{part.source}"
            images[self._reference(part)] = (source, content)
            disk[f"{self.root}/{part.name}.file"] = f"{part.name}-secret-{part.file}"
            disk[f"{self.root}/{part.name}.d"] = f"{part.name}-directory-{part.file}"
            if part.secret:
                secrets[part.name] = {"file": f"{self.root}/{part.name}.file"}
        network = {"name": f"{PROJECT}_default", "driver_opts": {"mtu": str(self.network)}}
        volumes = {"upstreams": {"name": f"{PROJECT}_upstreams"}}
        model = {
            "name": PROJECT,
            "services": services,
            "networks": {"default": network},
            "volumes": volumes,
            "secrets": secrets,
        }
        return Spec(model, images, disk)

    @staticmethod
    def _reference(part: Part) -> str:
        return f"foreign-{part.name}:1" if part.foreign else f"{PROJECT}/{part.name}:dev"

    def _raw(self, part: Part, named: Mapping[str, str]) -> dict[str, Any]:
        update = {"parallelism": part.parallelism, "failure_action": part.failure}
        after = {
            named[name]: {"condition": condition, "restart": restart}
            for name, condition, restart in part.after
            if name in named
        }
        own: dict[str, Any] = {"rollout": part.rollout}
        if part.rollout == "canary":
            own["canary"] = {"weight": list(SHARES), "every": "1m"}
        raw: dict[str, Any] = {
            "image": self._reference(part),
            "environment": {"V": str(part.environment)},
            "deploy": {"replicas": part.replicas, "update_config": update},
            "restart": "always" if part.restart else "no",
        }
        if not part.foreign:
            raw["build"] = {"context": self.root}
        if part.health and not part.job:
            raw["healthcheck"] = {"test": ["CMD", "true"]}
        if part.shares and part.shares in named:
            raw["network_mode"] = f"service:{named[part.shares]}"
            after[named[part.shares]] = {"condition": "service_started", "restart": True}
        else:
            raw["networks"] = {"default": None}
        if part.port:
            raw["ports"] = [{"target": 80, "published": str(part.port)}]
        if part.secret:
            raw["secrets"] = [{"source": part.name, "target": part.name}]
        if part.config:
            raw["volumes"] = [{"type": "bind", "source": f"{self.root}/{part.name}.d", "target": "/etc/d"}]
            raw["volumes"][0]["read_only"] = True
            own |= {"reload": {"signal": "HUP", "secrets": part.secret}} if part.config == "reload" else {}
        if part.proxy:
            own |= {"proxy": {"upstreams": "/etc/up"}}
            upstreams = {"type": "volume", "source": "upstreams", "target": "/etc/up"}
            raw["volumes"] = [*raw.get("volumes", ()), upstreams]
        if part.job:
            own = {"job": "once"}
        return {**raw, "depends_on": after, "x-slipway": own}


@st.composite
def _part(draw: st.DrawFn, name: str, earlier: Sequence[Part], proxy: bool) -> Part:
    behind = ("recreate", "start-first", "blue-green", "canary", "canary")
    rollouts = behind if proxy else ("recreate", "start-first")
    rollout = draw(st.sampled_from(rollouts))
    plain = rollout == "recreate"
    dependencies = []
    for part in earlier:
        if draw(st.booleans()):
            well = "service_completed_successfully" if part.job else "service_healthy"
            condition = well if part.health or part.job else "service_started"
            dependencies.append((part.name, condition, not part.job and draw(st.integers(0, 3)) == 0))
    owners = [part.name for part in earlier if part.rollout == "recreate" and part.replicas == 1 and not part.job]
    shares = draw(st.sampled_from(owners)) if owners and plain and draw(st.integers(0, 3)) == 0 else ""
    replicas = draw(st.sampled_from((1, 1, 2, 3)))
    port = draw(st.booleans()) and plain and not shares and replicas == 1
    return Part(
        name,
        rollout,
        replicas,
        parallelism=draw(st.integers(0, 2)),
        failure=draw(st.sampled_from(("rollback", "rollback", "pause"))),
        health=draw(st.integers(0, 3)) > 0,
        restart=draw(st.booleans()),
        after=tuple(dependencies),
        shares=shares,
        port=8000 + NAMES.index(name) if port else 0,
        secret=draw(st.booleans()),
        config=draw(st.sampled_from(("", "", "recreate", "reload"))),
        foreign=draw(st.integers(0, 3)) == 0,
    )


@st.composite
def stacks(draw: st.DrawFn) -> Drawn:
    """Draw a stack of two to five services."""
    parts: list[Part] = []
    proxy = draw(st.booleans())
    count = draw(st.integers(1 if proxy else 2, 3))
    where = draw(st.integers(-1, count - 1))
    for number in range(count):
        if number == where:
            after = tuple((part.name, "service_started", False) for part in parts)
            parts.append(Part("job", job=True, health=False, after=after, secret=draw(st.booleans())))
        parts.append(draw(_part(f"s{number}", tuple(parts), proxy)))
    if proxy:
        front = draw(_part("front", tuple(parts), False))
        parts.append(replace(front, rollout="recreate", replicas=1, proxy=True))
    return Drawn(tuple(parts))


_KINDS = (
    "image",
    "image",
    "image",
    "environment",
    "file",
    "source",
    "replicas",
    "rollout",
    "rename",
    "remove",
    "network",
)


@st.composite
def changed(draw: st.DrawFn, before: Drawn, sick: bool = False, most: int = 3) -> Drawn:
    """Draw the next release of a stack; ``sick``: with an image whose containers never serve, or not for long."""
    drawn = before
    for _ in range(draw(st.integers(1, most))):
        kind, index = draw(st.sampled_from(_KINDS)), draw(st.integers(0, len(drawn.parts) - 1))
        part = drawn.parts[index]
        if kind == "network":
            drawn = replace(drawn, network=drawn.network + 1)
            continue
        drawn = replace(drawn, parts=(*drawn.parts[:index], draw(_next(part, kind)), *drawn.parts[index + 1 :]))
    if sick:
        index = draw(st.integers(0, len(drawn.parts) - 1))
        behaviour = draw(st.sampled_from((NEVER, CRASH, LATE)))
        part = replace(drawn.parts[index], image=drawn.parts[index].image + 1, behaviour=behaviour, foreign=False)
        drawn = replace(drawn, parts=(*drawn.parts[:index], part, *drawn.parts[index + 1 :]))
    return drawn


@st.composite
def _next(draw: st.DrawFn, part: Part, kind: str) -> Part:
    if kind == "image":
        return part if part.foreign else replace(part, image=part.image + 1)
    if kind in ("environment", "file", "source"):
        return replace(part, **{kind: getattr(part, kind) + 1})
    if kind == "replicas" and not (part.proxy or part.job or part.port):
        return replace(part, replicas=draw(st.integers(1, 3)))
    if kind == "rollout" and not (part.proxy or part.job or part.port or part.shares):
        return replace(part, rollout=draw(st.sampled_from(("recreate", "start-first"))))
    if kind == "rename" and not part.proxy:
        return replace(part, renamed=not part.renamed)
    return replace(part, present=not part.present) if kind == "remove" and not part.proxy else part


def orders(least: int = 0) -> st.SearchStrategy[tuple[int, ...]]:
    """Draw the choices of the order in which a plan's operations are done."""
    return st.lists(st.integers(0, 9), min_size=least, max_size=least + 9).map(tuple)


def some_fault() -> st.SearchStrategy[Fault]:
    """Draw a fault and its operation."""
    return st.builds(Fault, st.integers(1, 60), st.sampled_from(FAULTS))


def deaths() -> st.SearchStrategy[Fault]:
    """Draw a fault by which the process dies."""
    return st.builds(Fault, st.integers(1, 60), st.sampled_from([kind for kind in FAULTS if kind.startswith("dies")]))


@st.composite
def opened(draw: st.DrawFn) -> tuple[Drawn, Drawn]:
    """Draw a stack with a rolled out service and no ports, and its next release, with another network."""
    before = draw(stacks())
    parts = [replace(part, port=0, shares="" if rolled(part) else part.shares) for part in before.parts]
    if not any(map(rolled, parts)):
        index = draw(st.sampled_from([i for i, part in enumerate(parts) if not (part.proxy or part.job)]))
        parts[index] = replace(parts[index], rollout="start-first", shares="")
    before = replace(before, parts=tuple(parts))
    after = draw(changed(before, most=2)) if draw(st.booleans()) else before
    return before, replace(after, network=before.network + 1)


def rolled(part: Part) -> bool:
    """Whether new containers of a service take over from old ones."""
    return part.rollout != "recreate"


@dataclass(frozen=True)
class Interference:
    """What another person or process does to containers: actions, each with the index of a container."""

    acts: tuple[tuple[str, int], ...] = field(default=())

    def on(self, project: Project) -> Project:
        """Return the project after the interference."""
        world = project.world
        for act, index in self.acts:
            if not world.boxes:
                break
            fact = world.boxes[index % len(world.boxes)].fact
            if act == "stop" and fact.state == "running":
                world = world.changed([fact.name], state="exited", health="", ports=())
            elif act == "pause" and fact.state == "running":
                world = world.changed([fact.name], state="paused")
            elif act == "remove":
                world = replace(world, boxes=tuple(box for box in world.boxes if box.fact.id != fact.id))
            elif act == "rename":
                world = world.changed([fact.name], name=f"renamed-{fact.id}")
        return replace(project, world=world)


def interference(*acts: str) -> st.SearchStrategy[Interference]:
    """Draw interference: up to two actions."""
    act = st.tuples(st.sampled_from(acts or ("stop", "pause", "remove", "rename")), st.integers(0, 11))
    return st.builds(Interference, st.lists(act, max_size=2).map(tuple))


def empty() -> Project:
    """Return an engine with nothing of the project but the proxy's files."""
    names = [name + more for name in NAMES for more in ("", NEW)]
    files = {name: f"upstream {name} {{\n    server {name}:8000 resolve;\n}}\n" for name in names}
    return Project(World(files=files))
