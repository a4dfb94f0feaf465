"""The key under which the result of a stage is stored: a digest over everything that it is made from."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from ...model.profile.profile import Profile
from ...model.secret import reveal
from ...model.stack.stack import Service
from ...model.version import Version
from .build import target
from .inputs import Inputs

UNKNOWN = "unknown"


def key(parts: Mapping[str, str]) -> str:
    """Return the key for what a result depends on, "" when a part of that is unknown."""
    if UNKNOWN in parts.values():
        return ""
    return hashlib.sha256(json.dumps(dict(sorted(parts.items()))).encode()).hexdigest()[:32]


def stage_parts(
    services: Iterable[tuple[Service, str]], inputs: Mapping[str, Inputs], built: Version, profile: Profile
) -> dict[str, str]:
    """Return what tests of single images depend on: the inputs of the stage of each service, and the limits."""
    parts = {"environment": profile.environment}
    for service, stage in services:
        service_inputs = inputs[service.name]
        name = f"{service.name}: stage {stage}"
        if service_inputs.dockerfile.find(stage) is None:
            parts[name] = "no such stage"
        else:
            parts[name] = target(service, built, service_inputs, stage).fingerprint or UNKNOWN
    return {**parts, **settings_of(profile, ("COVERAGE_MIN", "TEST_TIMEOUT", "TEST_MEMORY"))}


def digest(text: str) -> str:
    """Return a digest of a text, 32 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def settings_of(profile: Profile, keys: Iterable[str]) -> dict[str, str]:
    """Return the values of some keys of a profile, by key."""
    return {name: reveal(profile.text(name)) for name in keys}
