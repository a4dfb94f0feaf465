"""What tasks may load, module by module: measure what a new entry costs at every start before you add it.

A module that is not here is imported by the function that needs it. Loading costs more than all that these tasks do.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
_DUMP = """
import atexit, json, runpy, sys
from pathlib import Path

def dump(target=sys.argv[1]):
    Path(target).write_text(json.dumps(sorted(sys.modules)), encoding="utf-8")

atexit.register(dump)
del sys.argv[0:2]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
# Installed packages that may be loaded; all other modules are Python's or Slipway's.
LISTING_PACKAGES = {"_distutils_hack", "invoke", "yaml"}
# Modules of Python that cost most, and those that Invoke loads for features that no task uses.
NOT_FOR_A_LISTING = {"asyncio", "email", "importlib.metadata", "ssl", "unittest", "urllib.request"}
# The same for a look at a stack, which asks the engine.
NOT_FOR_A_LOOK = NOT_FOR_A_LISTING | {"http.client"}

# To read a command line and list the tasks.
LISTING = frozenset(
    {
        "tasks",
        "tasks.adopt",
        "tasks.build",
        "tasks.chaos",
        "tasks.db",
        "tasks.deploy",
        "tasks.env",
        "tasks.gitops",
        "tasks.mesh",
        "tasks.host",
        "tasks.host.profile.settings",
        "tasks.host.profile.yaml_text",
        "tasks.cli.per_environment",
        "tasks.image",
        "tasks.helm",
        "tasks.kube",
        "tasks.setup",
        "tasks.monitor",
        "tasks.operate",
        "tasks.cli",
        "tasks.host.profile",
        "tasks.model",
        "tasks.model.errors",
        "tasks.model.lazy_pattern",
        "tasks.model.record",
        "tasks.scan",
        "tasks.test",
    }
)
# To read a profile and a stack, ask the engine, and compute what there is to do.
LOOKING = LISTING | frozenset(
    {
        "tasks.deploy.plan",
        "tasks.host.engine",
        "tasks.model.engine",
        "tasks.model.profile",
        "tasks.model.stack",
        "tasks.reconcile",
        "tasks.reconcile.plan",
        "tasks.release",
        "tasks.release.plan",
        "tasks.host.profile.compose_files",
        "tasks.reconcile.desire",
        "tasks.host.engine.client",
        "tasks.host.engine.connection",
        "tasks.host.engine.parse",
        "tasks.host.engine.data_images",
        "tasks.host.engine.resources",
        "tasks.host.engine.unix_reader",
        "tasks.host.engine.watch",
        "tasks.cli.executor",
        "tasks.host.profile.extensions",
        "tasks.host.forwarding",
        "tasks.host.profile.head_start",
        "tasks.host.profile.identities",
        "tasks.host.listening",
        "tasks.host.profile.load_profile",
        "tasks.host.machine",
        "tasks.reconcile.mount_contents",
        "tasks.reconcile.observe",
        "tasks.host.output",
        "tasks.deploy.status",
        "tasks.deploy.prepare",
        "tasks.host.project",
        "tasks.reconcile.proxy",
        "tasks.release.store",
        "tasks.host.engine.cli_plugins",
        "tasks.host.runner",
        "tasks.release.secret_key",
        "tasks.host.pdeathsig",
        "tasks.reconcile.state",
        "tasks.model.address",
        "tasks.model.stack.attachments",
        "tasks.model.stack.backup",
        "tasks.model.command",
        "tasks.model.compose",
        "tasks.model.engine.confinement",
        "tasks.model.engine.image_contents",
        "tasks.deploy.plan.deploy",
        "tasks.reconcile.plan.configuration",
        "tasks.reconcile.plan.desired",
        "tasks.reconcile.plan.difference",
        "tasks.model.stack.extension",
        "tasks.model.stack.extension_keys",
        "tasks.model.engine.facts",
        "tasks.model.profile.grammar",
        "tasks.model.stack.health",
        "tasks.model.profile.identity",
        "tasks.model.profile.interpolation",
        "tasks.model.stack.layering",
        "tasks.reconcile.plan.mounts",
        "tasks.reconcile.plan.network_moves",
        "tasks.reconcile.plan.networks",
        "tasks.reconcile.plan.observed",
        "tasks.reconcile.plan.operation",
        "tasks.reconcile.plan.placed",
        "tasks.reconcile.plan.bring_up",
        "tasks.model.profile.profile",
        "tasks.model.quoting",
        "tasks.model.stack.readiness",
        "tasks.reconcile.plan.reconcile",
        "tasks.model.reference",
        "tasks.model.stack.references",
        "tasks.release.plan.release",
        "tasks.reconcile.plan.resources",
        "tasks.reconcile.plan.rollout_operations",
        "tasks.reconcile.plan.rollout",
        "tasks.model.profile.schema",
        "tasks.model.secret",
        "tasks.reconcile.plan.spelling",
        "tasks.reconcile.plan.staying",
        "tasks.model.stack.stack",
        "tasks.model.stack.load",
        "tasks.model.stack.presets",
        "tasks.model.stack.presets.postgres",
        "tasks.model.stack.presets.preset",
        "tasks.model.stack.presets.server",
        "tasks.model.stack.smoke",
        "tasks.deploy.plan.status",
        "tasks.model.suite",
        "tasks.model.units",
        "tasks.model.stack.proxies",
        "tasks.model.stack.proxies.kinds",
        "tasks.model.stack.upstream",
        "tasks.model.stack.telemetry",
        "tasks.model.stack.telemetry.metrics",
        "tasks.model.stack.telemetry.slo",
        "tasks.model.stack.verdict",
    }
)
# `deploy.status`.
STATUS = LOOKING | frozenset(
    {
        "tasks.model.profile.redaction",
        "tasks.deploy.maintenance",
        "tasks.deploy.plan.maintenance",
    }
)
# For a deploy with nothing to do: it has to find out that no source has changed.
NOTHING_TO_DO = LOOKING | frozenset(
    {
        "tasks.build.plan",
        "tasks.image.plan",
        "tasks.build.builder",
        "tasks.build.build",
        "tasks.build.contents",
        "tasks.build.digests",
        "tasks.host.foresight",
        "tasks.model.stack.proxies.foresight",
        "tasks.host.git",
        "tasks.deploy.deploy",
        "tasks.deploy.pending",
        "tasks.build.sources",
        "tasks.build.plan.bake",
        "tasks.build.plan.build",
        "tasks.build.plan.inputs",
        "tasks.build.plan.builder",
        "tasks.build.plan.copies",
        "tasks.build.plan.dockerfile",
        "tasks.model.stack.foresight",
        "tasks.build.plan.dockerignore",
        "tasks.model.lock",
        "tasks.model.stack.port_claims",
        "tasks.model.profile.redaction",
        "tasks.image.plan.registry",
        "tasks.model.version",
    }
)


def loaded_by(argv: Sequence[str], environment: Mapping[str, str], target: Path) -> set[str]:
    """Run a Python program, assert that it succeeds, and return the names of all modules that it had loaded."""
    done = subprocess.run(
        [sys.executable, "-c", _DUMP, str(target), *argv],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(target.read_text(encoding="utf-8")))


def ours(modules: set[str]) -> set[str]:
    """Return those of the modules that are Slipway's."""
    return {name for name in modules if name.split(".")[0] == "tasks"}


def packages(modules: set[str]) -> set[str]:
    """Return the installed packages among the modules, by their top-level names."""
    first = {name.split(".")[0] for name in modules if not name.startswith(("__", "_cython_"))}
    return (
        first
        - set(sys.stdlib_module_names)
        - {"tasks", "slipway_program", "sitecustomize", "usercustomize", "cython_runtime"}
    )
