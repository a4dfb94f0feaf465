"""What kube.check does: judges objects, here and by the API server of their environment."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..host.output import emit, emit_json, emit_table, note
from ..host.project import Project
from ..model.errors import CheckError, InputError
from . import schemas
from .live.cluster import MANAGER, Cluster
from .plan import check
from .plan.check import ObjectFinding
from .plan.pod_security import LEVELS

_ASKED_AT_ONCE = 8  # questions to registries
# The manager of fields under which a deploy applies: its own fields are no conflict.
_APPLY = (
    "apply",
    "--server-side",
    "--dry-run=server",
    "--force-conflicts",
    f"--field-manager={MANAGER}",
    "--filename=-",
)
Fields = Mapping[str, Any]


def run(project: Project, objects: Sequence[Fields], level: str, offline: bool, json: bool) -> None:
    """Report what is wrong with the objects of a project; raises CheckError when there is something.

    ``offline`` leaves out what asks a registry or the cluster. Raises InputError for a level of Pod Security that there
    is not, RefusedError without kubectl.
    """
    if level not in LEVELS:
        raise InputError(f"--security: no level {level!r}", f"there are: {', '.join(LEVELS)}")
    cluster = None if offline else Cluster(project, "; or give --offline")
    version = server_version(cluster) if cluster else ""
    findings = [*schemas.faults(objects, version), *check.security(objects, level)]
    unchecked = {}
    if cluster:
        findings += [*_images(project, objects), *dry_run(cluster, objects)]
    else:
        unchecked = dict.fromkeys((check.IMAGES, check.SERVER), "--offline")
    _report(project, findings, unchecked, schemas.version_used(version), json)


def server_version(cluster: Cluster) -> str:
    """Return the version of the cluster; raises CheckError when it does not answer."""
    answer = cluster.tried(cluster.kubectl("version", "--output=json"))
    try:
        return str(json.loads(answer.stdout)["serverVersion"]["gitVersion"])
    except (ValueError, KeyError):
        context = cluster.place.context
        raise CheckError(
            f"the cluster of {context} does not say its version: {_last(answer.stderr)}",
            f"kubectl --context {context} version; --offline checks what needs no cluster",
        ) from None


def dry_run(cluster: Cluster, objects: Sequence[Fields]) -> tuple[ObjectFinding, ...]:
    """Return what the API server has against objects; it changes nothing."""
    namespace = cluster.namespace
    there = cluster.tried(cluster.kubectl("get", "namespace", namespace, "--output=name"))
    if there.exit_code != 0:
        return check.server(there.stderr) or (ObjectFinding(check.SERVER, f"Namespace {namespace}", "not there"),)
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    answer = cluster.tried(cluster.kubectl(*_APPLY, stdin=listed))
    found = check.server(answer.stderr)
    if answer.exit_code != 0 and not found:
        return (ObjectFinding(check.SERVER, "objects", f"kubectl ended with exit code {answer.exit_code}"),)
    return found


def _images(project: Project, objects: Sequence[Fields]) -> tuple[ObjectFinding, ...]:
    used = check.images(objects)
    asked = check.asked(used)
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        answers = dict(zip(asked, pool.map(project.engine.remote, asked), strict=True))
    return check.judge_images(used, answers)


def _report(
    project: Project, findings: Sequence[ObjectFinding], unchecked: Mapping[str, str], version: str, as_json: bool
) -> None:
    outcomes = check.outcomes(findings, unchecked)
    if as_json:
        emit_json(
            {
                "schema": "slipway/kube.check/v1",
                "environment": project.profile.environment,
                "version": version,
                "checks": [
                    {"check": name, "outcome": outcome, "reason": unchecked.get(name)}
                    for name, outcome in outcomes.items()
                ],
                "findings": [finding.document() for finding in findings],
            }
        )
    else:
        for finding in findings:
            emit(f"{finding.check}: {finding.line}")
        rows = [(name, outcome, check.CHECKS[name]) for name, outcome in outcomes.items()]
        emit_table(("CHECK", "OUTCOME", "WHAT"), rows)
    for name, reason in unchecked.items():
        note(f"{name}: not checked, because of {reason}")
    if findings:
        failed = ", ".join(name for name, outcome in outcomes.items() if outcome == check.FAILED)
        raise CheckError(f"{len(findings)} findings: {failed}", "each line above names the object and its field")


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["no answer"])[-1]
