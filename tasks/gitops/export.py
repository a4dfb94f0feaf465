"""What gitops.export does: writes the objects of an environment into a branch, for Argo CD and Flux."""

from collections.abc import Mapping
from pathlib import Path

from ..host import git
from ..host.output import WARNING, emit_json, note
from ..host.profile.settings import read_yaml
from ..host.project import Project
from ..kube.manifests.plan import kustomize
from ..kube.render import secret_to_make
from ..kube.translated import Translated, rendered
from ..model.errors import InputError, RefusedError
from ..model.record import Record
from .branch import Branch, Signing
from .plan import argocd, exported, flux
from .plan.exported import Exported
from .plan.repository import public

TASK = "inv gitops.export"
COMMITTED, UNCHANGED = "committed", "unchanged"
_SIGNERS = ("GITOPS_SIGNING_KEY_FILE", "GITOPS_ALLOWED_SIGNERS", "GITOPS_GPG_KEYS")
_SHOWN = 5


class Done(Record):
    """What an export did: the commit that the branch is at, whether it is a new one, signed, at the remote."""

    commit: str
    outcome: str
    signed: bool
    pushed: bool


def run(project: Project, name: str, push: bool, json: bool) -> None:
    """Write the branch, and push it if told; the same input makes no new commit.

    Raises InputError for what cannot be translated or is not said, RefusedError for a branch of somebody else, one that
    is checked out, and for commits that are to be signed and are not.
    """
    if not name:
        raise InputError("--branch: no branch to write to", "for example --branch deploy/prod")
    branch = Branch(project.settings.project_dir, name)
    signing = branch.signing(_key(project))
    about = _about(project, branch, signing)
    branch.refuse_checked_out()
    refuse_dirty(project)
    made = rendered(project)
    if push and not project.runner.dry:
        branch.fetch()
    tip = branch.tip()
    there = branch.files(tip)
    wanted = _wanted(project, about, made, there, name)
    if project.runner.dry:
        _show(project, branch, there, wanted, push)
        return
    done = _written(project, branch, wanted, tip, signing, push)
    _report(project, about, made, done, wanted, json)


def _key(project: Project) -> str:
    """Return the file of the key to sign with, "" for none; raises InputError where it is not there."""
    given = project.profile.text("GITOPS_SIGNING_KEY_FILE")
    path = Path(project.settings.root, given)
    if given and not path.is_file():
        raise InputError(f"GITOPS_SIGNING_KEY_FILE: {given}: no such file", "name the file of an SSH key")
    return str(path) if given else ""


def _about(project: Project, branch: Branch, signing: Signing) -> Exported:
    profile = project.profile
    target, address = namespace(project), profile.text("GITOPS_REPOSITORY") or branch.address()
    if "://" not in public(address) and "@" not in address:
        raise InputError(
            "nothing says where the cluster reads the repository: it has no remote, and GITOPS_REPOSITORY is not set",
            "set GITOPS_REPOSITORY to its address, such as https://git.example.com/shop/shop.git",
        )
    signed = [key for key in _SIGNERS if profile.text(key)]
    if signed and not signing:
        raise RefusedError(
            f"{signed[0]} is set, so that commits have to be signed, and nothing says with which key",
            "set GITOPS_SIGNING_KEY_FILE to the file of an SSH key, or let git sign: git config commit.gpgSign true",
        )
    return Exported(
        profile.environment, project.stack.project, target, public(address), branch.name, bool(signed)
    )  # fmt: skip


def namespace(project: Project) -> str:
    """Return the namespace that the objects are for; raises InputError when the profile names none."""
    if name := project.profile.text("KUBE_NAMESPACE"):
        return name
    raise InputError(f"KUBE_NAMESPACE is not set (environment {project.profile.environment})", "name the namespace")


def refuse_dirty(project: Project) -> None:
    """Raise RefusedError where the profile deploys only what is committed, and this is not."""
    if not project.profile.flag("REQUIRE_CLEAN"):
        return
    facts = git.facts(project.settings.project_dir)
    if facts.dirty or not facts.commit:
        reason = "the checkout has uncommitted changes" if facts.commit else "the checkout has no commit"
        raise RefusedError(f"not exported: {reason} (REQUIRE_CLEAN)", "commit or stash them")


def _wanted(project: Project, about: Exported, made: Translated, there: Mapping[str, str], name: str) -> dict[str, str]:
    """Return all files of the branch; other environments keep what they have in it.

    Raises RefusedError for a branch with files of others.
    """
    if others := exported.foreign(there, (exported.MARK, kustomize.MARK)):
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        raise RefusedError(
            f"branch {name}: {TASK} did not write {', '.join(others[:_SHOWN])}{more}",
            "name a branch that is for deploys only; one that is not there yet is made",
        )
    objects = [flux.kept(one) for one in made.objects]
    overlay = kustomize.overlay(about.environment)
    try:
        kept = kustomize.environments_in(
            {path: text for path, text in there.items() if kustomize.MARK in text}, lambda text: read_yaml(text, name)
        )
    except (ValueError, KeyError, TypeError, IndexError):
        raise RefusedError(
            f"branch {name}: its files are not as {TASK} writes them", f"git branch --delete --force {name}, and again"
        ) from None
    own = exported.of_environment(about.environment)
    return {
        **{path: text for path, text in there.items() if exported.MARK in text and not path.startswith(own)},
        **kustomize.files({**kept, about.environment: objects}),
        f"argocd/{about.environment}.yaml": exported.text(argocd.application(about, overlay)),
        **flux.files(about, objects, overlay),
    }


def _show(project: Project, branch: Branch, there: Mapping[str, str], wanted: Mapping[str, str], push: bool) -> None:
    """Show what would be written; nothing is stored in the repository."""
    changed = [f"write {branch.name}:{path}" for path, text in wanted.items() if there.get(path) != text]
    gone = [f"remove {branch.name}:{path}" for path in there if path not in wanted]
    for line in (*changed, *gone):
        project.runner.show(line)
    if changed or gone:
        project.runner.show(f"then one commit on {branch.name}{', pushed' if push else ''}")


def _written(
    project: Project, branch: Branch, wanted: Mapping[str, str], tip: str, signing: Signing, push: bool
) -> Done:
    """Commit the files if the branch has others, or lacks a signature; the branch moves when the remote has it."""
    tree = branch.tree(wanted)
    signed = bool(tip) and branch.is_signed(tip)
    same = tree == branch.tree_of(tip) and (signed or not signing)
    if same:
        commit = tip
    else:
        facts = git.facts(project.settings.project_dir)
        about = f"{facts.commit}{' with changes' if facts.dirty else ''}" if facts.commit else ""
        text = exported.message(project.profile.environment, project.stack.project, project.version.text, about)
        commit = branch.commit(tree, tip, text, signing)
    if push and not branch.at_remote(commit):
        branch.push(commit)
    branch.set(commit)
    return Done(commit, UNCHANGED if same else COMMITTED, signed if same else bool(signing), push)


def _report(
    project: Project, about: Exported, made: Translated, done: Done, wanted: Mapping[str, str], json: bool
) -> None:
    if json:
        emit_json(
            {
                "schema": "slipway/gitops.export/v1",
                "environment": about.environment,
                "branch": about.revision,
                "commit": done.commit,
                "outcome": done.outcome,
                "signed": done.signed,
                "pushed": done.pushed,
                "files": len(wanted),
            }
        )
    how = f"{'signed' if done.signed else 'not signed'}, {'pushed' if done.pushed else 'not pushed'}"
    what = "a new commit" if done.outcome == COMMITTED else "nothing changed:"
    note(f"branch {about.revision}: {what} {done.commit[:12]}, {len(wanted)} files, {how}")
    for line in secret_to_make(project, made):
        note(line)
    if not any(path.startswith(f"flux/{about.environment}/") for path in wanted):
        note("no objects for Flux: it reads repositories over https, http and ssh", WARNING)
    if about.signed:
        note(f"Flux verifies them by the public keys in the Secret {flux.signers(about)} (docs/gitops.md)")
    note(f"once, for Argo CD: git show {about.revision}:argocd/{about.environment}.yaml | kubectl apply -f -")
