"""What hypothesis draws: stacks, the releases that they go through, what goes wrong, and what somebody else does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from hypothesis import strategies as st

from .deploying import UPSETS, Project, Spec, Upset
from .simulated import CRASH, GOOD, LATE, NEVER, World

PROJECT = "shop"
NAMES = ("s0", "s1", "s2", "s3", "front", "job", "app")
NEW = "x"  # what a renamed service is called by at its end


@dataclass(frozen=True, repr=False)
class Part:
    """One service of a stack, and the versions of what it is made of."""

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
        """Return what is special about it."""
        usual = Part(self.name)
        names = [one.name for one in fields(self) if getattr(self, one.name) != getattr(usual, one.name)]
        return f"Part({', '.join([repr(self.name), *(f'{name}={getattr(self, name)!r}' for name in names)])})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # hypothesis prints every field of a dataclass otherwise

    @property
    def called(self) -> str:
        """What the service is called."""
        return self.name + NEW * self.renamed


@dataclass(frozen=True)
class Drawn:
    """A stack as it is drawn."""

    parts: tuple[Part, ...]
    network: int = 0
    root: str = "/src"

    def spec(self) -> Spec:
        """Return the checkout."""
        parts = [one for one in self.parts if one.present]
        named = {one.name: one.called for one in parts}
        services = {one.called: self._raw(one, named) for one in parts}
        images, disk, secrets = {}, {}, {}
        for one in parts:
            prefix = "job" if one.job else "foreign" if one.foreign else "built"
            content = f"{prefix}-{one.name}-{one.image}-{one.behaviour}"
            source = "" if one.foreign else f"{content}-{one.source}"
            images[self._reference(one)] = (source, content)
            disk[f"{self.root}/{one.name}.file"] = f"{one.name}-secret-{one.file}"
            disk[f"{self.root}/{one.name}.d"] = f"{one.name}-directory-{one.file}"
            if one.secret:
                secrets[one.name] = {"file": f"{self.root}/{one.name}.file"}
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
    def _reference(one: Part) -> str:
        return f"foreign-{one.name}:1" if one.foreign else f"{PROJECT}/{one.name}:dev"

    def _raw(self, one: Part, named: Mapping[str, str]) -> dict[str, Any]:
        update = {"parallelism": one.parallelism, "failure_action": one.failure}
        after = {
            named[name]: {"condition": condition, "restart": restart}
            for name, condition, restart in one.after
            if name in named
        }
        own: dict[str, Any] = {"rollout": one.rollout}
        raw: dict[str, Any] = {
            "image": self._reference(one),
            "environment": {"V": str(one.environment)},
            "deploy": {"replicas": one.replicas, "update_config": update},
            "restart": "always" if one.restart else "no",
        }
        if not one.foreign:
            raw["build"] = {"context": self.root}
        if one.health and not one.job:
            raw["healthcheck"] = {"test": ["CMD", "true"]}
        if one.shares and one.shares in named:
            raw["network_mode"] = f"service:{named[one.shares]}"
            after[named[one.shares]] = {"condition": "service_started", "restart": True}
        else:
            raw["networks"] = {"default": None}
        if one.port:
            raw["ports"] = [{"target": 80, "published": str(one.port)}]
        if one.secret:
            raw["secrets"] = [{"source": one.name, "target": one.name}]
        if one.config:
            raw["volumes"] = [{"type": "bind", "source": f"{self.root}/{one.name}.d", "target": "/etc/d"}]
            raw["volumes"][0]["read_only"] = True
            own |= {"reload": {"signal": "HUP"}} if one.config == "reload" else {}
        if one.proxy:
            own |= {"proxy": {"upstreams": "/etc/up"}}
            upstreams = {"type": "volume", "source": "upstreams", "target": "/etc/up"}
            raw["volumes"] = [*raw.get("volumes", ()), upstreams]
        if one.job:
            own = {"job": "once"}
        return {**raw, "depends_on": after, "x-slipway": own}


@st.composite
def _part(draw: st.DrawFn, name: str, earlier: Sequence[Part], proxy: bool) -> Part:
    rollouts = ("recreate", "start-first", "blue-green") if proxy else ("recreate", "start-first")
    rollout = draw(st.sampled_from(rollouts))
    plain = rollout == "recreate"
    found = []
    for one in earlier:
        if draw(st.booleans()):
            well = "service_completed_successfully" if one.job else "service_healthy"
            condition = well if one.health or one.job else "service_started"
            found.append((one.name, condition, not one.job and draw(st.integers(0, 3)) == 0))
    owners = [one.name for one in earlier if one.rollout == "recreate" and one.replicas == 1 and not one.job]
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
        after=tuple(found),
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
            after = tuple((one.name, "service_started", False) for one in parts)
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
    """Draw the next release of a stack; ``sick``: of images whose containers never serve, or not for long."""
    found = before
    for _ in range(draw(st.integers(1, most))):
        kind, index = draw(st.sampled_from(_KINDS)), draw(st.integers(0, len(found.parts) - 1))
        one = found.parts[index]
        if kind == "network":
            found = replace(found, network=found.network + 1)
            continue
        found = replace(found, parts=(*found.parts[:index], draw(_next(one, kind)), *found.parts[index + 1 :]))
    if sick:
        index = draw(st.integers(0, len(found.parts) - 1))
        behaviour = draw(st.sampled_from((NEVER, CRASH, LATE)))
        one = replace(found.parts[index], image=found.parts[index].image + 1, behaviour=behaviour, foreign=False)
        found = replace(found, parts=(*found.parts[:index], one, *found.parts[index + 1 :]))
    return found


@st.composite
def _next(draw: st.DrawFn, one: Part, kind: str) -> Part:
    if kind == "image":
        return one if one.foreign else replace(one, image=one.image + 1)
    if kind in ("environment", "file", "source"):
        return replace(one, **{kind: getattr(one, kind) + 1})
    if kind == "replicas" and not (one.proxy or one.job or one.port):
        return replace(one, replicas=draw(st.integers(1, 3)))
    if kind == "rollout" and not (one.proxy or one.job or one.port or one.shares):
        return replace(one, rollout=draw(st.sampled_from(("recreate", "start-first"))))
    if kind == "rename" and not one.proxy:
        return replace(one, renamed=not one.renamed)
    return replace(one, present=not one.present) if kind == "remove" and not one.proxy else one


def upsets() -> st.SearchStrategy[Upset]:
    """Draw what goes wrong, and when."""
    return st.builds(Upset, st.integers(1, 60), st.sampled_from(UPSETS))


def deaths() -> st.SearchStrategy[Upset]:
    """Draw where a process dies."""
    return st.builds(Upset, st.integers(1, 60), st.sampled_from([one for one in UPSETS if one.startswith("dies")]))


@dataclass(frozen=True)
class Meddling:
    """What somebody else does to containers, by their place among all."""

    acts: tuple[tuple[str, int], ...] = field(default=())

    def on(self, project: Project) -> Project:
        """Return the project after it."""
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
                world = replace(world, boxes=tuple(one for one in world.boxes if one.fact.id != fact.id))
            elif act == "rename":
                world = world.changed([fact.name], name=f"renamed-{fact.id}")
        return replace(project, world=world)


def meddling(*acts: str) -> st.SearchStrategy[Meddling]:
    """Draw what somebody else does."""
    one = st.tuples(st.sampled_from(acts or ("stop", "pause", "remove", "rename")), st.integers(0, 11))
    return st.builds(Meddling, st.lists(one, max_size=2).map(tuple))


def empty() -> Project:
    """Return an engine on which nothing of the project is, but for the proxy's files in its volume."""
    names = [name + more for name in NAMES for more in ("", NEW)]
    files = {name: f"upstream {name} {{\n    server {name}:8000 resolve;\n}}\n" for name in names}
    return Project(World(files=files))
