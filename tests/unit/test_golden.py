"""Golden scenarios: profile + facts + arguments → changes and operations, or commands. A new case needs no new code.

They are in ``tests/plans/*.json``. ``plan`` is ``deploy`` or ``build``; the cases of a file share ``given`` and
``expect``. A case changes ``given`` by its ``but`` and ``expect`` by its own; both are JSON merge patches (RFC 7396:
``null`` removes a member), so a case has only what is special about it, and the comparison is still exact.
An ``expect`` with an ``error`` is taken as it is.

``model`` is what ``docker compose config --format json`` prints. A fingerprint ``current`` stands for that
of the service in ``fingerprints`` of the file, or of the case: they are literal, since another way to compute them has
every user build every image once more. An operation is shown as its kind, its subject, the containers concerned, the
seconds that it may take, and what it interrupts.
"""

import json
import shlex
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from support import ROOT, built, container, image, inputs, profile

from tasks.build.plan import build
from tasks.deploy.plan.deploy import refuse, refuse_taken_ports
from tasks.model.command import Command
from tasks.model.engine.facts import FINGERPRINT_LABEL, Container, Image
from tasks.model.errors import SlipwayError
from tasks.model.profile.profile import Profile
from tasks.model.stack.readiness import health_timeout
from tasks.model.stack.stack import Stack, parse
from tasks.model.stack.verdict import refuse_missing_secrets
from tasks.reconcile.desire import build_causes
from tasks.reconcile.plan.desired import Desired, Wanted
from tasks.reconcile.plan.difference import Policy
from tasks.reconcile.plan.observed import Observed
from tasks.reconcile.plan.operation import Operation, Plan
from tasks.reconcile.plan.reconcile import reconcile

CWD = "/srv/shop"


def merged(base: Any, patch: Any) -> Any:
    """Return ``base`` with a JSON merge patch applied (RFC 7396)."""
    if not isinstance(base, dict) or not isinstance(patch, dict):
        return patch
    result = {**base, **{key: merged(base.get(key, {}), value) for key, value in patch.items()}}
    return {key: value for key, value in result.items() if value is not None}


def written_out(given: dict[str, Any], expected: dict[str, Any], fingerprints: Mapping[str, str]) -> None:
    """Replace ``current`` by the fingerprint of the service to which the image, or the target of the build, belongs."""
    project, services = given["model"]["name"], given["model"]["services"].items()
    owners = {
        service.get("image", f"{project}-{name}:latest"): name for name, service in services if "build" in service
    }
    for reference, image_ in given.get("facts", {}).get("images", {}).items():
        if image_.get("fingerprint") == "current":
            image_["fingerprint"] = fingerprints[owners[reference]]
    command = expected.get("build") or expected.get("command") or {}
    for target in command.get("stdin", {}).get("target", {}).values():
        if target["labels"].get(FINGERPRINT_LABEL) == "current":
            target["labels"][FINGERPRINT_LABEL] = fingerprints[target["labels"]["com.docker.compose.service"]]


def scenarios() -> list[Any]:
    """Return every case of every file."""
    cases = []
    for path in sorted((ROOT / "tests" / "plans").glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        for case in document["cases"]:
            given = merged(document["given"], case.get("but", {}))
            expected = case.get("expect", {})
            if "error" not in expected:
                expected = merged(document["expect"], expected)
            fingerprints = document["fingerprints"] | case.get("fingerprints", {})
            given, expected = deepcopy(given), deepcopy(expected)  # cases share what they do not change
            written_out(given, expected, fingerprints)
            cases.append(pytest.param(document["plan"], given, expected, id=f"{path.stem}: {case['name']}"))
    return cases


class Scenario:
    """The input of a case, as the planners take it."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.profile: Profile = profile(given["environment"], **given["profile"])
        self.stack: Stack = parse(given["model"])
        self._model = given["model"]
        self.version = built(**given["git"])
        self.options = build.Options(
            **{key: tuple(value) if isinstance(value, list) else value for key, value in given["arguments"].items()}
        )
        self._facts = given.get("facts", {})
        digests = given.get("contexts", {})
        self.inputs = {
            service.name: inputs(
                given["dockerfiles"][service.name], digests.get(service.name, "c0ffee"), **given.get("bases", {})
            )
            for service in self.stack.built()
        }
        self.images = {name: self._image(fields) for name, fields in self._facts.get("images", {}).items()}

    @staticmethod
    def _image(fields: Mapping[str, Any]) -> Image:
        fields = dict(fields)
        fingerprint = fields.pop("fingerprint", "")
        labels = {FINGERPRINT_LABEL: fingerprint} if fingerprint else {}
        return replace(image(**{"identity": fields.pop("id"), **fields}), labels=labels)

    def containers(self) -> tuple[Container, ...]:
        """Return the containers in the engine's order."""
        containers = [container(name, **fields) for name, fields in self._facts.get("containers", {}).items()]
        return tuple(sorted(containers, key=lambda item: (item.service, item.oneoff, item.number)))

    def plan_build(self, images: Mapping[str, Image] | None) -> build.BuildPlan:
        """Return the plan of a build; with ``images`` only of what has changed."""
        return build.plan(self.stack, self.profile, self.version, self.inputs, self.options, CWD, images)

    def plan_deploy(self, build_plan: build.BuildPlan) -> Plan:
        """Return the plan of a deploy; raises SlipwayError for what would refuse it, in the order of a real deploy."""
        refuse_missing_secrets(self.stack, self.profile, tuple(self._facts.get("missing_secrets", ())))
        containers = self.containers()
        contents = {image.id: image.content or image.id for image in self.images.values()} | self._facts.get(
            "contents", {}
        )
        taken = tuple(self._facts.get("taken_ports", ()))
        observed = Observed(containers, self.images, contents, taken_ports=taken)
        plan = reconcile(observed, self.desired(build_plan), self.policy())
        refuse(plan)
        if plan.operations:
            refuse_taken_ports(self.stack, self.profile, taken)
        return plan

    def desired(self, build_plan: build.BuildPlan) -> Desired:
        """Return the release that the files describe."""
        causes, hashes = build_causes(self.stack, build_plan.causes), self._facts.get("hashes", {})
        services = {}
        for name, service in self.stack.services.items():
            there = self.images.get(service.image)
            known = frozenset({hashes[name]}) if name in hashes else frozenset[str]()
            services[name] = Wanted((there.content or there.id) if there else "", known, causes.get(name, ""))
        return Desired(self.stack, self._model, services)

    def policy(self) -> Policy:
        """Return the policy of the profile."""
        orphans = self.profile.text("COMPOSE_REMOVE_ORPHANS")
        return Policy(
            orphans=orphans == "true" if orphans else None,
            ours=frozenset(self._facts.get("released", ())),
            timeout=self.profile.duration("HEALTH_TIMEOUT"),
            timeouts={name: health_timeout(service, self.profile) for name, service in self.stack.services.items()},
        )


def command_document(command: Command) -> dict[str, Any]:
    """Return a command as a golden file shows it: the line, its input as JSON, what it sets; secrets masked."""
    assert command.cwd == CWD
    document: dict[str, Any] = {"run": shlex.join(command.argv)}
    if command.env:
        document["env"] = {key: str(value) for key, value in command.env.items()}
    if command.stdin is not None:
        document["stdin"] = json.loads(command.stdin)
    return document


def shown(operation: Operation) -> str:
    """Return an operation in one line."""
    names = f" ({' '.join(operation.names)})" if operation.names else ""
    seconds = f" {operation.seconds:g} s" if operation.seconds else ""
    interrupts = f", interrupts {' '.join(operation.interrupts)}" if operation.interrupts else ""
    return f"{operation.kind} {operation.subject}{names}{seconds}{interrupts}"


def deploy_document(scenario: Scenario) -> dict[str, Any]:
    """Return the plan of a deploy as a golden file shows it."""
    build_plan = scenario.plan_build(scenario.images)
    plan = scenario.plan_deploy(build_plan)
    return {
        "changes": {change.service: [change.action, *change.causes] for change in plan.changes},
        "operations": [shown(operation) for operation in plan.operations],
        "build": command_document(build_plan.command) if build_plan.command else {},
        "orphans": list(plan.orphans),
    }


def build_document(scenario: Scenario) -> dict[str, Any]:
    """Return the plan of a build as a golden file shows it."""
    plan = scenario.plan_build(None)
    return {
        "references": {target.service: target.reference for target in plan.targets},
        "command": command_document(plan.command) if plan.command else {},
    }


def outcome(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan of a case, or the error that the planner raises."""
    try:
        scenario = Scenario(given)
        return deploy_document(scenario) if kind == "deploy" else build_document(scenario)
    except SlipwayError as error:
        return {"error": type(error).__name__, "message": error.message, "hint": error.hint}


@pytest.mark.parametrize(("kind", "given", "expected"), scenarios())
def test_plan(kind: str, given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert outcome(kind, given) == expected


def test_a_merge_patch_changes_adds_and_removes() -> None:
    assert merged({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": None, "e": 3}, "d": [2]}) == {
        "a": {"c": 2, "e": 3},
        "d": [2],
    }
