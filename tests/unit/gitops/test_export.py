"""gitops.export as it is typed, in a real repository with a remote, without an engine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from signed_repository import Author
from support import ROOT

from tasks.gitops.branch import Branch
from tasks.model.errors import InputError, RefusedError
from tests import schemas

PROGRAM = ROOT / "tasks" / "cli" / "program.py"
BRANCH = "deploy/prod"
PASSWORD = "correct-horse-battery-7"
COMPOSE = """
services:
  migrate:
    image: registry.example.com/shop:{version}
    user: "1000:1000"
    command: [migrate]
    environment: {{DB_PASSWORD: "${{DB_PASSWORD}}"}}
    x-slipway: {{job: migrate}}
  app:
    image: registry.example.com/shop:{version}
    user: "1000:1000"
    environment: {{DB_PASSWORD: "${{DB_PASSWORD}}", LEVEL: "${{LEVEL}}"}}
    depends_on: {{migrate: {{condition: service_completed_successfully}}}}
"""
PROFILE = f"COMPOSE_FILE=compose.yaml\nDB_PASSWORD={PASSWORD}\n"


class Shop(Author):
    """A project in the work tree of its author, who exports it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        (self.work / "envs").mkdir()
        for name in ("prod", "qa"):
            self.profile(name, LEVEL=name)
        for key, value in (("user.name", "Ann"), ("user.email", "ann@example.com")):
            self.git("config", key, value)
        self.release("1")

    def profile(self, name: str = "prod", **keys: str) -> None:
        text = "".join(
            f"{key}={value}\n"
            for key, value in {
                "COMPOSE_PROJECT_NAME": f"shop-{name}",
                "KUBE_NAMESPACE": "shop",
                "LEVEL": name,
                **keys,
            }.items()
        )
        (self.work / "envs" / f"{name}.env").write_text(PROFILE + text)

    def release(self, version: str) -> str:
        return self.commit({"compose.yaml": COMPOSE.format(version=version), ".gitignore": "envs/\n"})

    def typed(self, *words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        places = {"SLIPWAY_PROJECT_DIR": str(self.work), "SLIPWAY_ENVS_DIR": str(self.work / "envs")}
        quiet = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "DOCKER_HOST": "unix:///nowhere.sock"}
        done = subprocess.run(
            [sys.executable, str(PROGRAM), "--search-root", str(ROOT), *words], env={**kept, **places, **quiet},
            cwd=self.work, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
        return done

    def export(self, *words: str, env: str = "prod", code: int = 0) -> "subprocess.CompletedProcess[str]":
        return self.typed("gitops.export", "--env", env, "--branch", BRANCH, *words, code=code)

    def state(self) -> tuple[str, str, str]:
        """Return what a person sees of their checkout: what is checked out, changed and staged."""
        return self.git("rev-parse", "HEAD"), self.git("status", "--porcelain"), self.git("ls-files", "--stage")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_an_export_is_a_commit_on_its_own_branch_and_the_checkout_stays_as_it_is(shop: Shop) -> None:
    (shop.work / "new").write_text("staged\n")
    shop.git("add", "new")
    (shop.work / "compose.yaml").write_text(COMPOSE.format(version="2"))
    before = shop.state()
    shop.export()

    assert shop.state() == before
    assert shop.git("rev-list", "--count", BRANCH) == "1"
    files = shop.git("ls-tree", "-r", "--name-only", BRANCH).splitlines()
    assert {"argocd/prod.yaml", "base/deployment-app.yaml", "overlays/prod/kustomization.yaml"} <= set(files)
    assert "image: registry.example.com/shop:2" in shop.git("show", f"{BRANCH}:base/deployment-app.yaml")
    assert shop.git("log", "-1", "--format=%B", BRANCH).endswith(f"Source: {before[0]} with changes")


def test_no_file_and_no_message_has_the_value_of_a_secret(shop: Shop) -> None:
    said = shop.export()
    stored = shop.git("log", "-p", "--format=fuller", BRANCH)
    assert "key: DB_PASSWORD" in stored
    assert PASSWORD not in stored + said.stdout + said.stderr
    assert "they read the Secret shop-prod-secrets; made and renewed, in bash:" in said.stderr


def test_the_same_input_makes_no_new_commit(shop: Shop) -> None:
    document = json.loads(shop.export("--json").stdout)
    assert schemas.faults(document) == []
    assert (document["schema"], document["outcome"]) == ("slipway/gitops.export/v1", "committed")
    assert document["commit"] == shop.git("rev-parse", BRANCH)
    again = json.loads(shop.export("--json").stdout)
    assert again == {**document, "outcome": "unchanged"}

    shop.release("2")
    assert json.loads(shop.export("--json").stdout)["outcome"] == "committed"
    assert shop.git("rev-parse", f"{BRANCH}^") == document["commit"]


def test_environments_share_a_branch_and_keep_what_they_have(shop: Shop) -> None:
    shop.export()
    application = shop.git("show", f"{BRANCH}:argocd/prod.yaml")
    shop.export(env="qa")
    assert shop.git("show", f"{BRANCH}:argocd/prod.yaml") == application
    assert "value: prod" in shop.git("show", f"{BRANCH}:overlays/prod/patch-deployment-app.yaml")
    before = shop.git("rev-parse", BRANCH)
    shop.export()
    assert shop.git("rev-parse", BRANCH) == before


def test_a_dry_run_shows_the_files_and_stores_nothing(shop: Shop) -> None:
    before = shop.git("count-objects", "-v")
    said = shop.typed("--dry", "gitops.export", "--env", "prod", "--branch", BRANCH).stdout.splitlines()
    assert f"# write {BRANCH}:argocd/prod.yaml" in said
    assert said[-1] == f"# then one commit on {BRANCH}"
    assert shop.git("branch", "--list", BRANCH) == ""
    assert shop.git("count-objects", "-v") == before


def test_a_commit_is_signed_with_the_key_of_the_profile(shop: Shop) -> None:
    shop.export()
    shop.profile(GITOPS_SIGNING_KEY_FILE=str(shop.key))
    document = json.loads(shop.export("--json").stdout)
    assert (document["signed"], document["outcome"]) == (True, "committed")
    trusted = ("-c", f"gpg.ssh.allowedSignersFile={shop.signers}")
    shop.git(*trusted, "verify-commit", BRANCH)
    assert json.loads(shop.export("--json").stdout) == {**document, "outcome": "unchanged"}


def test_a_commit_is_signed_as_git_is_configured_to(shop: Shop) -> None:
    for key, value in (("commit.gpgSign", "yes"), ("gpg.format", "ssh"), ("user.signingkey", str(shop.key))):
        shop.git("config", key, value)
    assert json.loads(shop.export("--json").stdout)["signed"] is True
    assert Branch(shop.work, BRANCH).is_signed(BRANCH)


def test_signatures_that_are_verified_have_to_be_made(shop: Shop) -> None:
    shop.profile(GITOPS_ALLOWED_SIGNERS=str(shop.signers))
    assert "GITOPS_ALLOWED_SIGNERS is set, so that commits have to be signed" in shop.export(code=3).stderr
    shop.profile(GITOPS_SIGNING_KEY_FILE="/nowhere/key")
    assert "GITOPS_SIGNING_KEY_FILE: /nowhere/key: no such file" in shop.export(code=2).stderr
    other = shop.directory / "no-key"
    other.write_text("nothing\n")
    shop.profile(GITOPS_SIGNING_KEY_FILE=str(other))
    assert "git does not sign the commit" in shop.export(code=3).stderr
    assert shop.git("branch", "--list", BRANCH) == ""


def test_a_push_goes_on_where_the_remote_is_and_never_by_force(shop: Shop) -> None:
    first = json.loads(shop.export("--push", "--json").stdout)
    assert first["pushed"] is True
    assert shop.git("ls-remote", "origin", BRANCH).split()[0] == first["commit"]

    # A second checkout has exported meanwhile, as another machine would.
    shop.git("update-ref", "-d", f"refs/heads/{BRANCH}")
    shop.git("update-ref", "-d", f"refs/remotes/origin/{BRANCH}")
    shop.release("2")
    second = json.loads(shop.export("--push", "--json").stdout)
    assert shop.git("rev-parse", f"{second['commit']}^") == first["commit"]
    assert shop.git("ls-remote", "origin", BRANCH).split()[0] == second["commit"]

    # A commit that was not pushed is, by the next push, though nothing has changed since.
    shop.release("3")
    third = json.loads(shop.export("--json").stdout)
    assert json.loads(shop.export("--push", "--json").stdout) == {**third, "outcome": "unchanged", "pushed": True}
    assert shop.git("ls-remote", "origin", BRANCH).split()[0] == third["commit"]


def test_branches_that_have_gone_apart_are_refused(shop: Shop) -> None:
    shop.export("--push")
    tree = shop.git("rev-parse", f"{BRANCH}^{{tree}}")
    shop.git("update-ref", f"refs/heads/{BRANCH}", shop.git("commit-tree", tree, "-m", "apart"))
    assert f"branch {BRANCH} here and at origin have gone apart" in shop.export("--push", code=3).stderr


def test_a_remote_that_does_not_take_it_leaves_the_branch_as_it_was(shop: Shop) -> None:
    hook = shop.bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho protected >&2\nexit 1\n")
    hook.chmod(0o755)
    assert "does not take branch deploy/prod" in shop.export("--push", code=3).stderr
    assert shop.git("branch", "--list", BRANCH) == ""
    shop.git("remote", "set-url", "origin", str(shop.directory / "gone.git"))
    assert "gone.git does not answer" in shop.export("--push", code=3).stderr


def test_a_branch_of_somebody_else_is_left_alone(shop: Shop) -> None:
    shop.git("branch", BRANCH)
    said = shop.export(code=3).stderr
    assert f"branch {BRANCH}: inv gitops.export did not write .gitignore, compose.yaml" in said
    assert shop.git("rev-parse", BRANCH) == shop.git("rev-parse", "HEAD")


def test_a_branch_that_is_checked_out_is_left_alone(shop: Shop) -> None:
    assert "it is checked out in" in shop.typed("gitops.export", "--env", "prod", "--branch", "main", code=3).stderr


def test_a_profile_that_deploys_only_what_is_committed_exports_only_that(shop: Shop) -> None:
    shop.profile(REQUIRE_CLEAN="true")
    shop.export()
    (shop.work / "compose.yaml").write_text(COMPOSE.format(version="2"))
    assert "not exported: the checkout has uncommitted changes (REQUIRE_CLEAN)" in shop.export(code=3).stderr


@pytest.mark.parametrize("name", ["", "-f", "a..b", "with space", "x.lock"])
def test_a_branch_needs_a_name(shop: Shop, name: str) -> None:
    with pytest.raises(InputError, match="--branch"):
        Branch(shop.work, name)


def test_what_is_not_said_is_named(shop: Shop, tmp_path: Path) -> None:
    assert "--branch: no branch to write to" in shop.typed("gitops.export", "--env", "prod", code=2).stderr
    shop.profile(KUBE_NAMESPACE="")
    assert "KUBE_NAMESPACE is not set" in shop.export(code=2).stderr
    shop.profile()
    shop.git("remote", "remove", "origin")
    assert "GITOPS_REPOSITORY is not set" in shop.export(code=2).stderr
    shop.profile(GITOPS_REPOSITORY="https://git.example.com/shop.git")
    assert "--push: the repository has no remote" in shop.export("--push", code=2).stderr
    shop.export()
    assert "repoURL: https://git.example.com/shop.git" in shop.git("show", f"{BRANCH}:argocd/prod.yaml").replace(
        '"', ""
    )
    with pytest.raises(RefusedError, match="is in no git repository"):
        Branch(tmp_path, BRANCH)


def test_a_user_whom_git_does_not_know_is_told_so(shop: Shop) -> None:
    for key in ("user.name", "user.email"):
        shop.git("config", "--unset", key)
    shop.git("config", "user.useConfigOnly", "true")
    assert "git does not know who commits" in shop.export(code=3).stderr
