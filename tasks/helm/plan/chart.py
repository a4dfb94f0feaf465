"""A Helm chart of a stack: templates of its objects, values for each environment, their schema, notes, a test.

https://helm.sh/docs/topics/charts/
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...kube.manifests.plan.kustomize import file_name
from ...kube.manifests.plan.overlays import Object
from ...kube.manifests.plan.yaml_text import Given, document
from ...kube.plan.labels import PROJECT
from ...kube.plan.names import label
from ...model.record import Record
from . import notes, probing, schema
from .slots import parts_of_image, slotted
from .together import EnvironmentNames, together

MARK = "Made by `inv helm.package`: what is changed here is overwritten."
# The oldest cluster that has what objects use: the sleep of preStop is on since 1.30.
OLDEST = ">=1.30.0-0"
_TEMPLATE_MARK = f"{{{{- /* {MARK} */ -}}}}\n"


class ChartSource(Record):
    """What a chart is made of: the objects of an environment, and what its project and the Secret of that are called.

    ``at_install`` and ``at_upgrade`` are objects that are there at the first install only, and at upgrades only.
    ``test_image`` is the image that asks the services in a `helm test`.
    """

    objects: tuple[Object, ...]
    project: str
    secret: str
    test_image: str
    at_install: tuple[Object, ...] = ()
    at_upgrade: tuple[Object, ...] = ()

    @property
    def all(self) -> tuple[Object, ...]:
        """The objects of all times."""
        return (*self.objects, *self.at_install, *self.at_upgrade)


class ChartIdentity(Record):
    """What a chart is called, its version (SemVer) and that of what it brings."""

    name: str
    version: str
    app_version: str


def chart_name(project: str, environment: str) -> str:
    """Return the name of the chart of a project: ``shop`` for ``shop-prod`` in the environment prod."""
    return label(project.removesuffix(f"-{environment}"))


def chart(identity: ChartIdentity, sources: Mapping[str, ChartSource], default: str) -> dict[str, str]:
    """Return the text of each file of a chart by its path.

    ``sources`` are the environments that it is for; ``default`` is the one whose values are those of ``values.yaml``.
    """
    environments = {name: slotted(source.all) for name, source in sorted(sources.items())}
    names = {name: EnvironmentNames(source.project, source.secret) for name, source in sources.items()}
    merged = together(environments, names, identity.name)
    values = {
        name: _sorted({**found, "test": {"image": parts_of_image(sources[name].test_image)}})
        for name, found in merged.values.items()
    }
    here = sources[default]
    result = {
        "Chart.yaml": _yaml(_about(identity)),
        "values.yaml": _values(values[default], f"The values of {default}; those of others are in values-NAME.yaml."),
        "values.schema.json": json.dumps({"$comment": MARK, **schema.of(list(values.values()))}, indent=2) + "\n",
        "templates/_helpers.tpl": _TEMPLATE_MARK + _helpers(identity.name),
        "templates/NOTES.txt": _TEMPLATE_MARK + _notes(identity.name, sources, here.secret),
    }
    tests = probing.pods(identity.name, [source.objects for source in sources.values()], here.project)
    result |= {f"templates/tests/{name}": _template(tree) for name, tree in tests.items()}
    for name, found in values.items():
        result[f"values-{name}.yaml"] = _values(_without(values[default], found), f"The values of {name}.")
    when = _times(sources)
    return result | {f"templates/{name}": _template(_at(when.get(name), tree)) for name, tree in merged.trees.items()}


def literal(text: str) -> str:
    """Return literal text as a template needs it: what begins an action is the value of an action."""
    return text.replace("{{", '{{"{{"}}')


def _times(sources: Mapping[str, ChartSource]) -> dict[str, str]:
    """Return when objects are there that are not always there, by the name of their file."""
    times = {"Install": "at_install", "Upgrade": "at_upgrade"}
    return {
        file_name(one): f"{{{{- if .Release.Is{time} }}}}"
        for source in sources.values()
        for time, field in times.items()
        for one in getattr(source, field)
    }


def _at(condition: str | None, tree: Any) -> Any:
    return Given(condition, "{{- end }}", tree) if condition else tree


def _template(tree: Any) -> str:
    before, after = list[str](), list[str]()
    while isinstance(tree, Given):
        before, after, tree = [*before, tree.before], [*after, tree.after], tree.value
    lines = [*before, document(tree, literal).removesuffix("\n"), *after]
    # Helm takes blanks from both ends of an object: without a line after it, a text would lose its last newline.
    return _TEMPLATE_MARK + "\n".join([*lines[: len(lines) - len(after)], "# end", *after]) + "\n"


def _about(identity: ChartIdentity) -> dict[str, Any]:
    return {
        "apiVersion": "v2",
        "type": "application",
        "name": identity.name,
        "description": f"The stack {identity.name}, translated from its Compose files.",
        "version": identity.version,
        "appVersion": identity.app_version,
        "kubeVersion": OLDEST,
    }


def _helpers(name: str) -> str:
    tag, digest = "{{ with .tag }}:{{ . }}{{ end }}", "{{ with .digest }}@{{ . }}{{ end }}"
    return f'{{{{- define "{name}.image" -}}}}\n{{{{ .repository }}}}{tag}{digest}\n{{{{- end -}}}}\n'


def _notes(name: str, sources: Mapping[str, ChartSource], secret: str) -> str:
    keys = {key for source in sources.values() for key in notes.secret_keys(source.all, source.secret)}
    hosts = notes.led_to(one for source in sources.values() for one in source.all)
    return notes.text(name, hosts, sorted(keys), secret)


def _yaml(data: Any) -> str:
    return f"# {MARK}\n{document(data)}"


def _values(data: Any, title: str) -> str:
    return f"# {title}\n{_yaml(data)}"


def _sorted(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: values[key] for key in sorted(values)}


def _without(default: Any, wanted: Any) -> Any:
    """Return values that replace those of ``values.yaml``: what is only there is taken back by a null.

    https://helm.sh/docs/chart_template_guide/values_files/#deleting-a-default-key
    """
    if not (isinstance(default, Mapping) and isinstance(wanted, Mapping)):
        return wanted
    kept = {key: _without(default.get(key), value) for key, value in wanted.items()}
    return {**kept, **dict.fromkeys((key for key in default if key not in wanted), None)}


def fit_version(text: str) -> bool:
    """Whether a text is a version that Helm takes (https://semver.org)."""
    return re.fullmatch(r"\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?", text, re.ASCII) is not None


def projects(objects: Sequence[Object]) -> set[str]:
    """Return the projects that objects say they are part of."""
    return {str((one["metadata"].get("labels") or {}).get(PROJECT, "")) for one in objects} - {""}
