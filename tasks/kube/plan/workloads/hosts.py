"""The names that a container has and knows: its own, those in /etc/hosts, and how it asks for others."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ....model.lazy_pattern import lazy_pattern
from ....model.stack.stack import Service, unescaped
from ..outcome import KeyOutcome, ignored, refused, translated
from ..part import Part
from ..source import KubeSource

KEYS = frozenset({"hostname", "domainname", "extra_hosts", "dns", "dns_opt", "dns_search"})
_LABEL = lazy_pattern(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


def part(source: KubeSource, service: Service) -> Part:
    """Return the names that a Pod has and knows; refused where the host itself, or another name server, is meant."""
    raw, where = unescaped(source.raw(service.name)), f"services.{service.name}"
    pod: dict[str, Any] = {}
    outcomes = [*_own(raw, pod, where), *_dns(raw, pod, where)]
    aliases, gateways = _aliases(raw.get("extra_hosts") or ())
    if aliases:
        pod["hostAliases"] = aliases
        outcomes.append(translated(f"{where}.extra_hosts", "hostAliases"))
    if gateways:
        reason = f"{', '.join(gateways)} is the machine itself, which a Pod has no fixed address of"
        hint = "name what runs there by its address, or by a service of the cluster"
        outcomes.append(refused(f"{where}.extra_hosts", reason, hint, "KUBE-EXTRA-HOSTS"))
    return Part(pod=pod, outcomes=tuple(outcomes))


def _own(raw: Mapping[str, Any], pod: dict[str, Any], where: str) -> Iterable[KeyOutcome]:
    name = str(raw.get("hostname") or "")
    if name and _LABEL.fullmatch(name):
        pod["hostname"] = name
        yield translated(f"{where}.hostname", "hostname")
    elif name:
        yield ignored(f"{where}.hostname", "it is no DNS label; the Pod is called as Kubernetes calls it")
    if raw.get("domainname"):
        yield ignored(f"{where}.domainname", "the domain of a Pod is that of the cluster")


def _dns(raw: Mapping[str, Any], pod: dict[str, Any], where: str) -> Iterable[KeyOutcome]:
    settings: dict[str, Any] = {}
    if servers := raw.get("dns"):
        settings["nameservers"] = [servers] if isinstance(servers, str) else list(servers)
        reason = "they are asked only while the cluster's own name server does not answer"
        hint = "let the cluster's name server ask them (CoreDNS: forward), and accept it"
        yield refused(f"{where}.dns", reason, hint, "KUBE-DNS")
    if domains := raw.get("dns_search"):
        settings["searches"] = [domains] if isinstance(domains, str) else list(domains)
        yield translated(f"{where}.dns_search", "dnsConfig.searches")
    if options := raw.get("dns_opt"):
        settings["options"] = [_option(str(option)) for option in options]
        yield translated(f"{where}.dns_opt", "dnsConfig.options")
    if settings:
        pod["dnsConfig"] = settings


def _option(text: str) -> dict[str, str]:
    name, colon, value = text.partition(":")
    return {"name": name, "value": value} if colon else {"name": name}


def _aliases(entries: Iterable[str] | Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return names by address as Kubernetes has them, and the names that mean the host."""
    found: dict[str, list[str]] = {}
    gateways = []
    for name, address in _pairs(entries):
        if address == "host-gateway":
            gateways.append(name)
        else:
            found.setdefault(address.strip("[]"), []).append(name)
    return [{"ip": address, "hostnames": names} for address, names in found.items()], gateways


def _pairs(entries: Iterable[str] | Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    # Compose prints NAME=ADDRESS, older releases NAME:ADDRESS.
    if isinstance(entries, Mapping):
        for name, addresses in entries.items():
            yield from ((name, address) for address in ([addresses] if isinstance(addresses, str) else addresses))
        return
    for entry in entries:
        name, _, address = entry.partition("=" if "=" in entry else ":")
        yield name, address
