"""What kubectl and helm say when something fails, as one line with what to do.

The words are those of the API server and of client-go; helm wraps them.
"""

import re
from collections.abc import Callable
from re import Match

from ....model.errors import CommandError, InputError, RefusedError, SlipwayError
from ....model.lazy_pattern import lazy_pattern
from ....model.record import Record


class ClusterAwayError(RefusedError):
    """The API server does not answer; it may do so in a moment."""


class ClusterPlace(Record):
    """Where a command worked: the context and the namespace of the profile, and the environment's name."""

    context: str
    namespace: str
    environment: str = ""


def fault(said: str, code: int, place: ClusterPlace, title: str) -> SlipwayError:
    """Return the error for what a command said on stderr; ``title`` names the command where nothing is recognised."""
    text = " ".join(said.split())
    for pattern, made in _KNOWN:
        if found := re.search(pattern, text):
            return made(found, place)
    return CommandError(f"{title}: {last_line(said) or f'exit code {code}'}", code)


def last_line(said: str) -> str:
    """Return the last line of an output that says something, without the word ``Error:`` before it."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not _CHATTER.match(line.strip())]
    return _ERROR.sub("", lines[-1]) if lines else ""


def is_missing(said: str) -> bool:
    """Whether a command failed because an object does not exist."""
    return "(NotFound)" in said or "not found" in said.lower()


def exists_already(said: str) -> bool:
    """Whether an object could not be created because there is one of its name."""
    return "(AlreadyExists)" in said or "already exists" in said


_ERROR = lazy_pattern(r"^(?:error|Error)(?: from server(?: \(\w+\))?)?: ")
_CHATTER = lazy_pattern(r"[IWE]\d{4} |level=|Warning: |WARNING: |For verbose messaging|See also:|Use \"")


def _no_context(found: Match[str], place: ClusterPlace) -> SlipwayError:
    return InputError(
        f"KUBE_CONTEXT={place.context}: there is no such context", "`kubectl config get-contexts` shows those there are"
    )


def _away(found: Match[str], place: ClusterPlace) -> SlipwayError:
    return ClusterAwayError(
        f"the cluster of context {place.context} does not answer: {found['why']}",
        f"is it up, and is this machine allowed to reach it? `kubectl --context {place.context} version`",
    )


def _forbidden(found: Match[str], place: ClusterPlace) -> SlipwayError:
    group = f".{found['group']}" if found["group"] else ""
    where = f"in namespace {found['space']}" if found["space"] else "in the cluster"
    return RefusedError(
        f"{found['user']} may not {found['verb']} {found['what']}{group} {where} (context {place.context})",
        f'a Role or ClusterRole has to allow it: apiGroups: ["{found["group"]}"], resources: ["{found["what"]}"], '
        f'verbs: ["{found["verb"]}"]',
    )


def _unknown(found: Match[str], place: ClusterPlace) -> SlipwayError:
    return RefusedError(
        f"the cluster of context {place.context} does not accept the credentials",
        "log in again as your cluster wants it; `kubectl auth whoami` shows who you are",
    )


def _quota(found: Match[str], place: ClusterPlace) -> SlipwayError:
    return RefusedError(
        f"namespace {place.namespace}: the quota {found['quota']} is exceeded: {found['why'].strip()}",
        "ask for less (deploy.resources), or for a larger quota",
    )


def _webhook(found: Match[str], place: ClusterPlace) -> SlipwayError:
    return RefusedError(
        f"the admission webhook {found['name']} refuses it: {found['why'].strip()}", "that is a rule of this cluster"
    )


def _policy(found: Match[str], place: ClusterPlace) -> SlipwayError:
    return RefusedError(
        f"the admission policy {found['name']} refuses it: {found['why'].strip()}", "that is a rule of this cluster"
    )


def _pod_security(found: Match[str], place: ClusterPlace) -> SlipwayError:
    return RefusedError(
        f"Pod Security {found['level']} of namespace {place.namespace} refuses it: {found['why'].strip()}",
        "what the Compose file says of user, cap_drop, security_opt and mounts becomes the Pod's securityContext",
    )


def _old(found: Match[str], place: ClusterPlace) -> SlipwayError:
    return RefusedError(
        f"the cluster of context {place.context} is too old: Kubernetes {found['version']}, needs {found['wanted']}",
        "objects of a translation use what older clusters do not have",
    )


def _busy(found: Match[str], place: ClusterPlace) -> SlipwayError:
    return RefusedError(
        "another install, upgrade or rollback of this release is in progress: helm was started by hand, or was killed",
        f"`helm history` tells which; inv deploy.history --env {place.environment}",
    )


def _no_namespace(found: Match[str], place: ClusterPlace) -> SlipwayError:
    return InputError(
        f"KUBE_NAMESPACE={place.namespace}: context {place.context} has no such namespace",
        f"inv deploy.{place.environment} makes it, where you may; or `kubectl create namespace {place.namespace}`",
    )


def _no_kind(found: Match[str], place: ClusterPlace) -> SlipwayError:
    return RefusedError(
        f"the cluster of context {place.context} has no {found['kind'] or found['other']}",
        "install what serves it, or take it out of the Compose file (x-slipway)",
    )


def _fixed(found: Match[str], place: ClusterPlace) -> SlipwayError:
    return RefusedError(
        f"{found['kind']} {found['name']}: this cannot be changed in place: {found['why'].strip()}",
        f"remove it first, its data stays: kubectl --context {place.context} --namespace {place.namespace} delete "
        f"{found['kind'].lower()} {found['name']} --cascade=orphan",
    )


def _owned(found: Match[str], place: ClusterPlace) -> SlipwayError:
    return RefusedError(
        f"{found['kind']} {found['name']} of namespace {found['space']} is not of this release",
        "it belongs to another project, or was made by hand: set another KUBE_NAMESPACE, or remove it",
    )


# In this order: what is said of a quota or a webhook also says that something is forbidden.
# Compiled by the one that fails: each task on a cluster loads this.
_KNOWN: tuple[tuple[str, Callable[[Match[str], ClusterPlace], SlipwayError]], ...] = (
    (r'context "?[^" ]*"? does not exist|context was not found|no context exists', _no_context),
    (r"exceeded quota: (?P<quota>[^,\s]+), (?P<why>.*?)(?:$|\.\s|;)", _quota),
    (r'admission webhook "(?P<name>[^"]*)" denied the request: (?P<why>.*)$', _webhook),
    (r"ValidatingAdmissionPolicy '(?P<name>[^']*)' with binding '[^']*' denied request: (?P<why>.*)$", _policy),
    (r'violates PodSecurity "(?P<level>[a-z]+):[^"]*": (?P<why>.*)$', _pod_security),
    (
        r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<what>[^"]*)" in API group "(?P<group>[^"]*)"'
        r'(?: at the cluster scope| in the namespace "(?P<space>[^"]*)")?',
        _forbidden,
    ),
    (r"must be logged in to the server|\(Unauthorized\)|: Unauthorized\b|client to provide credentials", _unknown),
    (
        r"(?P<why>connection to the server \S+ was refused|dial tcp [^\"]*?: [^\"]*?(?:refused|timeout|no such "
        r"host|no route to host|unreachable)|i/o timeout|TLS handshake timeout|Client\.Timeout exceeded|no such "
        r"host|x509: [^\"]+|unexpected EOF)",
        _away,
    ),
    (r"chart requires kubeVersion: (?P<wanted>\S+) which is incompatible with Kubernetes (?P<version>\S+)", _old),
    (r"another operation \(install/upgrade/rollback\) is in progress", _busy),
    (r'namespaces "[^"]*" not found', _no_namespace),
    (r'no matches for kind "(?P<kind>[^"]*)"|doesn\'t have a resource type "(?P<other>[^"]*)"', _no_kind),
    (
        r'(?P<kind>[A-Z]\w+)\S* "(?P<name>[^"]*)" is invalid: '
        r"(?P<why>.*(?:Forbidden: updates to|field is immutable).*)$",
        _fixed,
    ),
    (
        r'(?P<kind>\w+) "(?P<name>[^"]*)" in namespace "(?P<space>[^"]*)" exists and cannot be imported into the '
        r"current release",
        _owned,
    ),
)
