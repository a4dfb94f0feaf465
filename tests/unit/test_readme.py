"""What the README says is what the code does."""

import re
import sys
from pathlib import Path

from tasks.plan import errors, schema

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def task_names() -> set[str]:
    sys.path.insert(0, str(ROOT))
    import tasks

    return {name for primary, aliases in tasks.ns.task_names.items() for name in (primary, *aliases)}


def test_the_profile_reference_is_the_schema() -> None:
    found = re.search(r"<!-- reference: .* -->\n(.*)<!-- /reference -->", README, re.DOTALL)
    assert found
    assert found[1].strip() == schema.reference().strip(), "write schema.reference() between the markers"


def test_every_task_that_the_readme_types_exists() -> None:
    typed = re.findall(
        r"(?:^\$ |`)(?:\./)?inv ((?:-{1,2}[a-z]+ )*)([a-z]+(?:\.[a-z]+)?)(?= |`|$)", README, re.MULTILINE
    )
    names = {name for _, name in typed}
    assert len(names) > 15
    assert names - task_names() - {"deploy.qa", "build.qa", "TASK"} == set()


def test_the_exit_codes_are_those_of_the_errors() -> None:
    table = dict(re.findall(r"^\| (\d) \| (.+?) \|$", README, re.MULTILINE))
    classes = (errors.InputError, errors.RefusedError, errors.DeployError, errors.CheckError)
    assert {str(one.exit_code) for one in classes} <= set(table)
    assert table["0"].startswith("done")


def test_the_environments_of_the_table_of_versions_are_computed_so() -> None:
    from tasks.plan.version import GitFacts, version

    commit = "1a2b3c4" + "0" * 33
    said = dict(re.findall(r"^\| (.+?) \| `([^`]+)`", README, re.MULTILINE))
    assert said["tag `v1.4.2`"] == version(GitFacts(commit, "v1.4.2")).text
    assert said["five commits later"] == version(GitFacts(commit, "v1.4.2", 5)).text
    assert said["five commits after `v1.5.0-rc.1`"] == version(GitFacts(commit, "v1.5.0-rc.1", 5)).text
    assert said["no tag, or a shallow clone that has none"] == version(GitFacts(commit, shallow=True)).text
    assert said["no git checkout"] == version(GitFacts()).text
