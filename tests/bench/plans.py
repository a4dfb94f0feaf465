"""Does a deploy do what its plan says? Mutations of a stack, planned and carried out, on a real engine.

``python -m tests.bench.plans [COUNT] [SEED]`` mutates the files or what runs, plans with ``deploy.plan --out``, deploys
by that file, and compares the plan with the engine's containers and events: what was kept, made anew, rolled out,
reloaded, restarted, removed, which services were away and for how long, and whether what runs then is what the files
say. Exit 1 when something differs.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tabulate import tabulate

from tests.bench.mutations import Mutations
from tests.e2e.support import DOCKER, Checkout, docker, remove
from tests.e2e.support import run as started

_HEARD = 0.3  # seconds until the engine has told an event
_TRIES, REFUSED = 3, 3
_RELOADS = [str(int(one)) for one in (signal.SIGHUP, signal.SIGCONT)]


def containers(project: str) -> list[dict[str, Any]]:
    """Return the containers of a project."""
    ids = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={project}").split()
    found = json.loads(docker("inspect", *ids)) if ids else []
    return [
        {
            "id": one["Id"],
            "service": one["Config"]["Labels"]["com.docker.compose.service"],
            "state": one["State"]["Status"],
            "exit": one["State"]["ExitCode"],
            "started": one["State"]["StartedAt"],
            "health": (one["State"].get("Health") or {}).get("Status", ""),
            "image": one["Image"],
            "environment": one["Config"]["Env"] or [],
            "networks": sorted(one["NetworkSettings"]["Networks"] or {}),
            "shares": one["HostConfig"]["NetworkMode"].removeprefix("container:"),
        }
        for one in found
    ]


@contextmanager
def listening(directory: Path) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Yield what returns the engine's events of containers and networks since now; it is called once, at the end.

    They are listened to as they come: the engine remembers 256 events, of which health checks make six a second.
    """
    kinds = [
        word
        for kind in ("start", "die", "kill", "disconnect", "health_status")
        for word in ("--filter", f"event={kind}")
    ]
    file = directory / "events.jsonl"
    with file.open("w", encoding="utf-8") as out:
        process = subprocess.Popen([DOCKER, "events", "--format", "{{json .}}", *kinds], stdout=out)
        time.sleep(_HEARD)

        def heard() -> list[dict[str, Any]]:
            time.sleep(_HEARD)
            process.terminate()
            process.wait()
            return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

        try:
            yield heard
        finally:
            process.kill()
            process.wait()


@dataclass
class Seen:
    """What happened to a service: its containers before and after, and its events.

    ``away``: seconds from the end of the last container that ran to the next start; ``unready``: to the first that is
    healthy, where it has a health check.
    """

    before: dict[str, str]
    after: dict[str, str]
    exits: list[int]
    died: set[str] = field(default_factory=set)
    started: set[str] = field(default_factory=set)
    signalled: set[str] = field(default_factory=set)
    cut_off: set[str] = field(default_factory=set)
    away: float = 0.0
    unready: float = 0.0

    @property
    def cut(self) -> bool:
        """Whether a container lost a network while it ran: one that ends is disconnected just before."""
        return bool(self.cut_off - self.died)


def seen(
    project: str, before: list[dict[str, Any]], after: list[dict[str, Any]], events: list[dict[str, Any]]
) -> dict[str, Seen]:
    """Return what happened to each service of a project, from the engine's containers and events."""
    names = {one["service"] for one in (*before, *after)}
    found = {
        name: Seen(
            {one["id"]: one["state"] for one in before if one["service"] == name},
            {one["id"]: one["state"] for one in after if one["service"] == name},
            [one["exit"] for one in after if one["service"] == name and one["state"] == "exited"],
        )
        for name in names
    }
    owner = {one["id"]: one["service"] for one in (*before, *after)}
    checked = {one["id"] for one in after if one["health"]}
    runs = {one["id"] for one in before if one["state"] == "running"}
    ended: dict[str, float] = {}
    waited: dict[str, float] = {}
    for event in sorted(events, key=lambda one: int(one["timeNano"])):
        attributes, moment = event["Actor"]["Attributes"], event["timeNano"] / 1e9
        identity = attributes.get("container", "") if event["Type"] == "network" else event["Actor"]["ID"]
        mine = attributes.get("com.docker.compose.project") == project
        service = owner.get(identity) or (attributes["com.docker.compose.service"] if mine else "")
        if service not in found:
            continue
        own = found[service]
        _count(own, event, identity, runs)
        running = {one for one in runs if owner.get(one) == service}
        if event["Action"] == "start":
            runs.add(identity)
            owner[identity] = service
            if service in ended:
                own.away = max(own.away, moment - ended.pop(service))
        elif event["Action"] == "die" and identity in runs:
            runs.discard(identity)
            if running == {identity}:
                ended[service] = moment
                waited.setdefault(service, moment)
        ready = "start" if identity not in checked else "health_status: healthy"
        if event["Action"] == ready and service in waited:
            own.unready = max(own.unready, moment - waited.pop(service))
    for service in ended:
        found[service].away = float("inf")
    for service in waited:
        found[service].unready = float("inf")
    return found


def _count(own: Seen, event: dict[str, Any], identity: str, runs: set[str]) -> None:
    action = event["Action"]
    if event["Type"] == "network":
        own.cut_off |= {identity} & runs
    elif action == "die":
        own.died.add(identity)
    elif action == "start":
        own.started.add(identity)
    elif action == "kill" and event["Actor"]["Attributes"].get("signal") in _RELOADS:
        own.signalled.add(identity)


def faults(plan: dict[str, Any], found: dict[str, Seen]) -> list[str]:
    """Return in what the engine shows something else than a plan says."""
    told: list[str] = []
    for change in plan["changes"]:
        name, action = change["service"], change["action"]
        own = found.get(name, Seen({}, {}, []))
        told += [f"{name}: {action}, but {words}" for words in _other(action, own)]
        interrupted = own.away > 0 or (own.cut and action != "roll")
        ran = any(state == "running" for state in own.before.values())
        if interrupted and ran and action != "run" and not change["interrupts"]:
            told.append(f"{name}: it was away for {own.away:.1f} s, which the plan does not say")
        if change["interrupts"] and not interrupted:
            told.append(f"{name}: the plan says that it is interrupted, and it was not")
        most = (change["interruption"] or {}).get("most_seconds")
        if own.unready and most is not None and ran and own.unready > max(most, 0.1) and change["interrupts"]:
            told.append(f"{name}: away for {own.unready:.1f} s, at most {most} s in the plan")
    unplanned = set(found) - {change["service"] for change in plan["changes"]}
    return told + [f"{name}: is not in the plan" for name in unplanned if found[name].died | found[name].started]


def _other(action: str, own: Seen) -> list[str]:
    kept, fresh = set(own.before) & set(own.after), set(own.after) - set(own.before)
    running = [state for state in own.after.values() if state == "running"]
    checks: dict[str, list[tuple[bool, str]]] = {
        "unchanged": [
            (set(own.before) == set(own.after), "other containers run"),
            (not own.died and not own.started, "a container ended or started"),
        ],
        "create": [(not kept and bool(running), "nothing was created")],
        "recreate": [(not kept and bool(running), "a container was kept, or none runs")],
        "roll": [(not kept and bool(running), "a container was kept, or none runs"), (not own.away, "it was away")],
        "reload": [
            (set(own.before) == set(own.after) and not own.died, "it was made anew"),
            (own.signalled >= set(own.before), "it got no signal"),
        ],
        "restart": [(set(own.before) == set(own.after), "it was made anew"), (bool(own.started), "nothing started")],
        "start": [(set(own.before) == set(own.after), "it was made anew"), (bool(own.started), "nothing started")],
        "scale": [(bool(kept), "no container was kept"), (len(own.before) != len(own.after), "there are as many")],
        "run": [(bool(fresh or own.started), "it did not run"), (own.exits[-1:] == [0], "it did not succeed")],
        "remove": [(not own.after, "it is there")],
        "wait": [(set(own.before) == set(own.after), "it was made anew")],
    }
    return [words for held, words in checks[action] if not held]


def unlike(model: dict[str, Any], profiles: bool, known: list[dict[str, Any]]) -> list[str]:
    """Return in what the containers of a project are other than its Compose file says."""
    services = {name: own for name, own in model["services"].items() if profiles or not own.get("profiles")}
    told = [f"{one['service']}: it is in no file" for one in known if one["service"] not in model["services"]]
    for name, own in services.items():
        mine = [one for one in known if one["service"] == name]
        if name == "migrate":
            continue
        replicas = (own.get("deploy") or {}).get("replicas", 1)
        if len(mine) != replicas or any(one["state"] != "running" for one in mine):
            told.append(f"{name}: {[one['state'] for one in mine]} instead of {replicas} that run")
        value = f"VALUE={own['environment']['VALUE']}"
        image = docker("image", "inspect", "--format", "{{.Id}}", own["image"]) if "image" in own else ""
        for one in mine:
            if value not in one["environment"]:
                told.append(f"{name}: its environment is another than {value}")
            if image and one["image"] != image:
                told.append(f"{name}: its image is not {own['image']}")
            told += _alone(one, known) if name == "side" else []
    return told


def _alone(one: dict[str, Any], known: list[dict[str, Any]]) -> list[str]:
    """Return what is wrong with a container that uses the network of another one."""
    other = next((other for other in known if other["id"] == one["shares"]), None)
    if other is None:
        return ["side: it uses the network of a container that is gone"]
    return (
        ["side: it uses the network that web had before it started again"] if other["started"] > one["started"] else []
    )


@contextmanager
def stack(seed: int) -> Iterator[Mutations]:
    """A deployed stack; everything is removed at the end."""
    name = f"slipway-bench-plans-{os.getpid()}"
    with tempfile.TemporaryDirectory() as directory:
        project, envs = Path(directory, "project"), Path(directory, "envs")
        for path in (project, envs):
            path.mkdir()
        (envs / "base.env").write_text("HEALTH_TIMEOUT=60s\n")
        mutations = Mutations(Checkout(project, envs, [name]), random.Random(seed))
        mutations.begin()
        try:
            mutations.checkout.inv("deploy.dev")
            yield mutations
        finally:
            remove(name)
            mutations.end()


def compared(mutations: Mutations) -> tuple[str, list[str]]:
    """Plan, deploy by the plan and compare; return what was planned in words, and what differed."""
    checkout = mutations.checkout
    file = checkout.project_dir.parent / "plan.json"
    for _ in range(_TRIES):
        plan = checkout.json("deploy.plan", "--out", str(file))
        before = containers(mutations.name)
        with listening(file.parent) as heard:
            done = started(checkout.command("deploy.dev", "--plan", str(file)), text="", env=checkout.environment())
            after = containers(mutations.name)
            found = seen(mutations.name, before, after, heard())
        if done.returncode != REFUSED or "healthy, was running, starting" not in done.stderr:
            break  # else a container that was restarted by hand has become healthy since: that is another plan
    actions = " ".join(f"{one['service']}:{one['action']}" for one in plan["changes"] if one["action"] != "unchanged")
    if done.returncode:
        return actions, [f"the deploy failed: {' '.join(done.stderr.split()[-60:])}"]
    differing = faults(plan, found) + unlike(mutations.model, mutations.profiles, after)
    left = checkout.json("deploy.plan")["changes"]
    return actions, differing + [
        f"{one['service']}: {one['action']} is left to do ({'; '.join(one['causes'])})"
        for one in left
        if one["action"] != "unchanged"
    ]


def run(count: int, seed: int) -> list[str]:
    """Mutate, plan and deploy ``count`` times, print a line for each and a table, and return all that differed."""
    told: list[str] = []
    table: dict[str, list[int]] = {}
    with stack(seed) as mutations:
        for number in range(1, count + 1):
            drawn = mutations.draw()
            actions, differing = compared(mutations)
            words = "; ".join(words for _, words in drawn)
            print(
                f"{number:3} {words} => {actions or 'nothing'}{''.join(f' !! {one}' for one in differing)}", flush=True
            )
            told += differing
            for kind, _ in drawn:
                table.setdefault(kind, []).append(not differing)
    rows = [(kind, len(table[kind]), sum(table[kind])) for kind in mutations.kinds if kind in table]
    print(tabulate(rows, ("WHAT CHANGED", "TIMES", "AS PLANNED")))
    print(f"missing: {', '.join(kind for kind in mutations.kinds if kind not in table) or 'none'}")
    return told


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was made is removed then as well
    numbers = [int(word) for word in sys.argv[1:]]
    wrong = run(numbers[0] if numbers else 60, numbers[1] if len(numbers) > 1 else 1)
    print(f"{len(wrong)} differences" if wrong else "every plan was what happened")
    sys.exit(bool(wrong))
