"""What telemetry costs the sample's service: its throughput with it ÷ without, and the CPU of a request.

Three containers of one image stand next to each other in front of one database. They are loaded in turn by clients
that ask again as soon as they have their answer, as fast as the machine goes. One has metrics, which are fetched in
each round, several times as often as the monitoring does, and records 10 % of its traces, which a collector receives;
the others have neither. The ratio of these two is 1 but for noise, and says how far the figure can be trusted.

Rounds are short, and each order of the three is followed by its reverse: other load on the machine comes and goes, and
meets them all. Only what was measured right after each other is compared. The collector only keeps what it gets, so
that what is measured is the service.

Requests are counted for a second of CPU that the machine has given, to whatever it gave it: /proc/stat knows how much
that was, and what a virtual machine's host took away ("steal"). The machine has nothing else to do and its CPUs are
hardly idle, so that is the throughput, without what the neighbours of a virtual machine add to it: those make requests
a second of the same container differ by a third from one round to the next. These are printed as well, and how idle the
CPUs were.
"""

import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from docker import APIClient

from tests.bench.measure import Estimate, Figure, docker, estimate, sample_stack
from tests.e2e.collector import Collector, another, collecting

_BLOCKS, _SECONDS, _WORKERS = 60, 2, 16
_IDLE = 0.1  # the share of the CPUs that may be idle at full load
_RATIO, _BAR = 0.1, 1.03  # the bar is of time; of throughput it is 0.97
_PATHS = ("/api/users?limit=20", "/api/users?limit=5&offset=10")
_NAMES = ("on", "off", "control")


@dataclass(frozen=True)
class Round:
    """What a container did under full load: requests a second, and for a second of CPU that the machine gave to all.

    ``cpu`` is that of a request in µs by who used it, ``idle`` the share of the machine's CPUs that nobody used.
    """

    requests: int
    throughput: float
    given: float
    idle: float
    cpu: dict[str, float]


class Bench:
    """Loads containers of the sample's service by its load generator, which runs here and not in a container.

    The start of a container costs as much as some hundred requests.
    """

    def __init__(self, project: str, directory: Path) -> None:
        self._project, self._generator = project, str(directory / "load")
        self._engine = APIClient()
        image = docker("create", f"{project}/loadgen:test")
        docker("cp", f"{image}:/load", self._generator)
        docker("rm", image)

    def loaded(self, name: str) -> Round:
        """Load a container and return what it did; a failed request ends the benchmark."""
        address = self._address(name)
        words = [self._generator, "-workers", str(_WORKERS), "-duration", f"{_SECONDS}s"]
        words += [f"GET http://{address}:8000{path}" for path in _PATHS]
        before, machine = self._cpu(name), _machine()
        with subprocess.Popen(words, stdout=subprocess.PIPE) as generator:
            if name == "on":
                _scrape(address)
            told, _ = generator.communicate(timeout=60)
        busy, idle = (now - then for now, then in zip(_machine(), machine, strict=True))
        after = self._cpu(name)
        done = json.loads(told)
        if done["failures"]:
            sys.exit(f"{done['failures']} of {done['requests']} requests failed: {done['errors']}")
        cpu = {who: (after[who] - before[who]) / done["requests"] * 1e6 for who in after}
        return Round(done["requests"], done["throughput"], done["requests"] / busy, idle / (busy + idle), cpu)

    def _address(self, name: str) -> str:
        """Return the address of a container in the network of the proxy."""
        networks = self._engine.inspect_container(f"{self._project}-{name}")["NetworkSettings"]["Networks"]
        return str(networks[f"{self._project}_frontend"]["IPAddress"])

    def _cpu(self, name: str) -> dict[str, float]:
        """Return the seconds of CPU that have been used so far."""
        clients = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            "service": self._of_container(name),
            "database": self._of_container("database-1"),
            "clients": clients.ru_utime + clients.ru_stime,
        }

    def _of_container(self, name: str) -> float:
        stats = self._engine.stats(f"{self._project}-{name}", stream=False, one_shot=True)
        return float(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9


def _machine() -> tuple[float, float]:
    """Return how many seconds of CPU the machine has given so far, and for how many nobody wanted one.

    The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal in units of USER_HZ.
    https://docs.kernel.org/filesystems/proc.html#miscellaneous-kernel-statistics-in-proc-stat
    """
    user, nice, system, idle, waiting, irq, softirq = map(int, Path("/proc/stat").read_text().split()[1:8])
    unit = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / unit, (idle + waiting) / unit


def run() -> list[Figure]:
    """Measure and return the figure."""
    with sample_stack("telemetry") as sample, ExitStack() as stack:
        sample.inv("deploy.test")
        sample.inv("build.test", "--service", "loadgen", COMPOSE_PROFILES="load")
        project = f"{sample.project}-test"
        collector = stack.enter_context(collecting(f"{project}_frontend"))
        on = {
            "METRICS_PORT": "9464",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_TRACES_SAMPLER_ARG": str(_RATIO),
        }
        off = {"METRICS_PORT": "", "OTEL_EXPORTER_OTLP_ENDPOINT": ""}
        for name, variables in zip(_NAMES, (on, off, off), strict=True):
            stack.enter_context(another(sample, "test", f"{project}-{name}", variables))
        bench = Bench(project, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        return [_measured(bench, collector)]


def _measured(bench: Bench, collector: Collector) -> Figure:
    for name in _NAMES:
        bench.loaded(name)  # the first round does not count
    collector.received.clear()
    load = os.getloadavg()[0]
    blocks = [{name: bench.loaded(name) for name in order} for order in _orders(_BLOCKS)]
    time.sleep(6)  # OTEL_BSP_SCHEDULE_DELAY is 5 s: the last batch
    idle = estimate([one.idle for block in blocks for one in block.values()]).middle
    if idle > _IDLE:
        sys.exit(
            f"the CPUs were idle for {idle:.0%} of the time: this machine is not at full load, the figure says nothing"
        )
    recorded = _recorded(collector, blocks)
    print(
        f"{_BLOCKS} rounds of {_SECONDS} s for each; load of the machine before {load:.1f}, {idle:.1%} idle; {recorded}"
    )
    ratio = _compared(blocks, "given", "a second of CPU")
    _compared(blocks, "throughput", "a second")
    _told_of_cpu(blocks)
    name = "a request at full load with metrics and 10 % of traces ÷ without"
    return Figure(name, 1 / ratio.middle, 1.0, _BAR, "", (1 / ratio.high, 1 / ratio.low))


def _compared(blocks: Sequence[dict[str, Round]], what: str, unit: str) -> Estimate:
    """Return how many requests there were with telemetry ÷ without; print it, and the noise."""
    seen = [{name: float(getattr(block[name], what)) for name in _NAMES} for block in blocks]
    ratio = estimate([2 * one["on"] / (one["off"] + one["control"]) for one in seen])
    print(f"requests {unit}, on ÷ off: {ratio}")
    print(f"  the same, off ÷ off:     {estimate([one['off'] / one['control'] for one in seen])}")
    return ratio


def _orders(number: int) -> Iterator[Sequence[str]]:
    """Yield as many orders: each of all, followed by its reverse."""
    half = list(itertools.permutations(_NAMES))[:3]
    orders = itertools.cycle(order for one in half for order in (one, one[::-1]))
    return itertools.islice(orders, number)


def _scrape(address: str) -> None:
    asked = urllib.request.Request(f"http://{address}:9464/metrics", headers={"Accept": "application/openmetrics-text"})
    with urllib.request.urlopen(asked, timeout=5) as answer:
        answer.read()


def _recorded(collector: Collector, blocks: Sequence[dict[str, Round]]) -> str:
    """Return what share of the requests was recorded; a benchmark in which too few spans have come measures nothing."""
    spans = collector.spans()
    share = sum(span.parent == "" for span in spans) / sum(block["on"].requests for block in blocks)
    if not 0.8 * _RATIO < share < 1.2 * _RATIO:
        sys.exit(f"{share:.1%} of the requests were recorded and received, instead of {_RATIO:.0%}")
    return f"{share:.1%} of the requests were recorded, {len(spans)} spans"


def _told_of_cpu(blocks: Sequence[dict[str, Round]]) -> None:
    """Print the CPU of a request by who used it, and by how much that is more with telemetry."""
    for who in blocks[0]["on"].cpu:
        of = {name: estimate([block[name].cpu[who] for block in blocks]).middle for name in _NAMES}
        more = estimate([b["on"].cpu[who] - (b["off"].cpu[who] + b["control"].cpu[who]) / 2 for b in blocks])
        print(f"CPU of the {who}: {' ÷ '.join(f'{value:.0f}' for value in of.values())} µs a request; more by {more}")
    whole = [{name: sum(block[name].cpu.values()) for name in _NAMES} for block in blocks]
    print(f"CPU of all, on ÷ off:  {estimate([2 * w['on'] / (w['off'] + w['control']) for w in whole])}")
    print(f"the same, off ÷ off:   {estimate([w['off'] / w['control'] for w in whole])}")


if __name__ == "__main__":
    for figure in run():
        print(figure.line())
