"""Golden scenarios: profile + facts + arguments → changes and operations, or commands. A new case needs no new code.

``tests/plans/*.json`` hold them. ``plan`` is ``deploy`` or ``build``; ``given`` and ``expect`` are what the cases of a
file share. A case changes the one in ``but`` and the other in ``expect``; both are JSON merge patches (RFC 7396:
``null`` removes a member), so a case holds what is special about it, and the comparison is exact all the same. An
``expect`` with an ``error`` stands for itself.

``model`` is what ``docker compose config --format json`` prints. A fingerprint ``current`` is that of the very inputs
of the service that the image belongs to. An operation is shown as its kind, its subject, the containers concerned, the
seconds that it may take, and what it interrupts.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from support import ROOT, built, container, image, inputs, profile

from tasks.host.desire import replaced
from tasks.plan import build as build_planner
from tasks.plan.command import Command
from tasks.plan.deploy import refuse, refuse_taken_ports
from tasks.plan.desired import Desired, Wanted
from tasks.plan.difference import Policy
from tasks.plan.errors import SlipwayError
from tasks.plan.facts import FINGERPRINT_LABEL, Container, Image
from tasks.plan.observed import Observed
from tasks.plan.operation import Operation, Plan
from tasks.plan.profile import Profile
from tasks.plan.readiness import health_timeout
from tasks.plan.reconcile import reconcile
from tasks.plan.stack import Stack, parse
from tasks.plan.verdict import refuse_missing_secrets

CWD = "/srv/shop"


def merged(base: Any, patch: Any) -> Any:
    """Return ``base`` with a JSON merge patch applied (RFC 7396)."""
    if not isinstance(base, dict) or not isinstance(patch, dict):
        return patch
    result = {**base, **{key: merged(base.get(key, {}), value) for key, value in patch.items()}}
    return {key: value for key, value in result.items() if value is not None}


def scenarios() -> list[Any]:
    """Return every case of every file."""
    found = []
    for path in sorted((ROOT / "tests" / "plans").glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        for case in document["cases"]:
            given = merged(document["given"], case.get("but", {}))
            expected = case.get("expect", {})
            if "error" not in expected:
                expected = merged(document["expect"], expected)
            found.append(pytest.param(document["plan"], given, expected, id=f"{path.stem}: {case['name']}"))
    return found


class Scenario:
    """What a case gives, as the planners take it."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.profile: Profile = profile(given["environment"], **given["profile"])
        self.stack: Stack = parse(given["model"])
        self._model = given["model"]
        self.version = built(**given["git"])
        self.options = build_planner.Options(
            **{key: tuple(value) if isinstance(value, list) else value for key, value in given["arguments"].items()}
        )
        self._facts = given.get("facts", {})
        digests = given.get("contexts", {})
        self.inputs = {
            one.name: inputs(given["dockerfiles"][one.name], digests.get(one.name, "c0ffee"), **given.get("bases", {}))
            for one in self.stack.built()
        }
        self.images = {name: self._image(name, fields) for name, fields in self._facts.get("images", {}).items()}

    def _image(self, reference: str, fields: Mapping[str, Any]) -> Image:
        fields = dict(fields)
        fingerprint = fields.pop("fingerprint", "")
        if fingerprint == "current":
            owner = next(one for one in self.stack.built() if one.image == reference)
            fingerprint = build_planner.target(owner, self.version, self.inputs[owner.name]).fingerprint
        labels = {FINGERPRINT_LABEL: fingerprint} if fingerprint else {}
        return replace(image(**{"identity": fields.pop("id"), **fields}), labels=labels)

    def containers(self) -> tuple[Container, ...]:
        """Return the containers in the engine's order."""
        found = [container(name, **fields) for name, fields in self._facts.get("containers", {}).items()]
        return tuple(sorted(found, key=lambda one: (one.service, one.oneoff, one.number)))

    def build(self, images: Mapping[str, Image] | None) -> build_planner.BuildPlan:
        """Return the plan of a build; with ``images`` of what changed only."""
        return build_planner.plan(self.stack, self.profile, self.version, self.inputs, self.options, CWD, images)

    def deploy(self, build: build_planner.BuildPlan) -> Plan:
        """Return the plan of a deploy; raises what keeps it from being carried out, in the order of a real one."""
        refuse_missing_secrets(self.stack, self.profile, tuple(self._facts.get("missing_secrets", ())))
        found = self.containers()
        contents = {one.id: one.content or one.id for one in self.images.values()} | self._facts.get("contents", {})
        taken = tuple(self._facts.get("taken_ports", ()))
        observed = Observed(found, self.images, contents, taken_ports=taken)
        plan = reconcile(observed, self.desired(build), self.policy())
        refuse(plan)
        if plan.operations:
            refuse_taken_ports(self.stack, self.profile, taken)
        return plan

    def desired(self, build: build_planner.BuildPlan) -> Desired:
        """Return what the files say."""
        causes, hashes = replaced(self.stack, build.causes), self._facts.get("hashes", {})
        services = {}
        for name, service in self.stack.services.items():
            there = self.images.get(service.image)
            known = frozenset({hashes[name]}) if name in hashes else frozenset[str]()
            services[name] = Wanted((there.content or there.id) if there else "", known, causes.get(name, ""))
        return Desired(self.stack, self._model, services)

    def policy(self) -> Policy:
        """Return what the profile says."""
        orphans = self.profile.text("COMPOSE_REMOVE_ORPHANS")
        return Policy(
            orphans=orphans == "true" if orphans else None,
            ours=frozenset(self._facts.get("released", ())),
            timeout=self.profile.duration("HEALTH_TIMEOUT"),
            timeouts={name: health_timeout(one, self.profile) for name, one in self.stack.services.items()},
        )


def command_document(command: Command, build: build_planner.BuildPlan) -> dict[str, Any]:
    """Return a command as a golden file shows it: the line, its input as JSON, what it sets; secrets masked."""
    assert command.cwd == CWD
    document: dict[str, Any] = {"run": shlex.join(command.argv)}
    if command.env:
        document["env"] = {key: str(value) for key, value in command.env.items()}
    if command.stdin is not None:
        document["stdin"] = json.loads(command.stdin)
        for one in build.targets:
            labels = document["stdin"]["target"][one.service.replace(".", "_")]["labels"]
            assert labels.get(FINGERPRINT_LABEL, "") == one.fingerprint
            if one.fingerprint:
                labels[FINGERPRINT_LABEL] = "current"
    return document


def shown(one: Operation) -> str:
    """Return an operation in one line."""
    names = f" ({' '.join(one.names)})" if one.names else ""
    seconds = f" {one.seconds:g} s" if one.seconds else ""
    interrupts = f", interrupts {' '.join(one.interrupts)}" if one.interrupts else ""
    return f"{one.kind} {one.subject}{names}{seconds}{interrupts}"


def deploy_document(scenario: Scenario) -> dict[str, Any]:
    """Return the plan of a deploy as a golden file shows it."""
    build = scenario.build(scenario.images)
    plan = scenario.deploy(build)
    return {
        "changes": {one.service: [one.action, *one.causes] for one in plan.changes},
        "operations": [shown(one) for one in plan.operations],
        "build": command_document(build.command, build) if build.command else {},
        "orphans": list(plan.orphans),
    }


def build_document(scenario: Scenario) -> dict[str, Any]:
    """Return the plan of a build as a golden file shows it."""
    plan = scenario.build(None)
    return {
        "references": {one.service: one.reference for one in plan.targets},
        "command": command_document(plan.command, plan) if plan.command else {},
    }


def outcome(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a planner says to a case, or the error that it raises."""
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
