"""The main job: `inv setup deploy.dev` brings the sample stack up, and what it serves is real."""

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path

from tests.loads import LISTING_PACKAGES, NOT_FOR_A_LOOK, NOTHING_TO_DO, STATUS, loaded_by, ours, packages

from .support import Sample, docker, leftovers, logged, make_sample, remove, until


def containers(project: str) -> dict[str, str]:
    """Return the id of each container of a project by name."""
    lines = docker("ps", "-a", "--no-trunc", "--filter", f"label=com.docker.compose.project={project}",
                   "--format", "{{.Names}} {{.ID}}").splitlines()  # fmt: skip
    return dict(line.split() for line in lines)


def inspected(project: str) -> list[dict]:
    ids = list(containers(project).values())
    return json.loads(docker("inspect", *ids))


def until_nothing_starts(project: str) -> None:
    starting = ("--filter", f"label=com.docker.compose.project={project}", "--filter", "health=starting")
    until(lambda: not docker("ps", "-q", *starting), "no container is in its start period", 120)


def test_rows_of_the_database_are_served_through_nginx_over_https(sample: Sample) -> None:
    status, page = sample.get("/api/users?limit=3")
    assert status == 200
    assert [user["name"] for user in page["users"]] == ["Ada Lovelace", "Alan Turing", page["users"][2]["name"]]
    assert page["total"] >= 20
    in_database = sample.inv("db.shell", "--command", "select count(*) as n from users").stdout
    assert str(page["total"]) in in_database


def test_a_user_created_over_https_is_a_row_in_the_database(sample: Sample) -> None:
    status, user = sample.get("/api/users", {"name": "Grace", "email": "grace.e2e@example.net"})
    assert status == 201
    rows = sample.inv("db.shell", stdin="select email from users where name = 'Grace';\n").stdout
    assert "grace.e2e@example.net" in rows
    assert sample.get(f"/api/users/{user['id']}")[1]["email"] == "grace.e2e@example.net"


def test_health_answers_as_promised(sample: Sample) -> None:
    assert sample.get("/health") == (200, {"status": "healthy", "service": "app"})
    with urllib.request.urlopen(f"http://localhost:{sample.http_port}/health", timeout=20) as answer:
        assert json.load(answer)["status"] == "healthy"


def test_a_second_deploy_changes_nothing_and_says_so(sample: Sample) -> None:
    sample.inv("deploy.dev")
    before = containers(sample.project)
    result = sample.inv("deploy.dev")
    assert "nothing to do" in result.stderr
    assert sample.json("deploy.dev")["outcome"] == "unchanged"
    assert containers(sample.project) == before
    assert all(change["action"] == "unchanged" for change in sample.json("deploy.plan")["changes"])
    sample.inv("deploy.plan", "--exit-code")


def test_a_deploy_with_nothing_to_do_loads_what_it_is_allowed_to(sample: Sample, tmp_path: Path) -> None:
    loaded = loaded_by(sample.command("deploy.dev")[1:], sample.environment(), tmp_path / "modules")

    assert (ours(loaded) - NOTHING_TO_DO, packages(loaded) - LISTING_PACKAGES) == (set(), set())


def test_status_loads_what_it_is_allowed_to(sample: Sample, tmp_path: Path) -> None:
    loaded = loaded_by(sample.command("deploy.status")[1:], sample.environment(), tmp_path / "modules")

    assert (ours(loaded) - STATUS, packages(loaded) - LISTING_PACKAGES) == (set(), set())
    assert loaded & NOT_FOR_A_LOOK == set()


def test_what_compose_does_by_hand_after_a_deploy_recreates_only_what_reloads(sample: Sample) -> None:
    before = containers(sample.project)
    lines = sample.inv("--dry", "deploy.down").stdout.splitlines()
    script = "\n".join([*lines[:-1], "docker compose --env-file /dev/null up --detach --no-build"])
    subprocess.run(["sh", "-ec", script], check=True, capture_output=True)
    after = containers(sample.project)
    changed = {name for name in before if before[name] != after.get(name)}
    # Its configuration is in volumes that a deploy fills, where the files themselves are mounted by hand.
    assert changed <= {f"{sample.project}-nginx-1"}
    # As long as one of them is starting, a deploy has something to do: it waits for it.
    until_nothing_starts(sample.project)
    assert sample.json("deploy.dev")["outcome"] == "unchanged"


def test_every_container_is_hardened(sample: Sample) -> None:
    for container in inspected(sample.project):
        host, name = container["HostConfig"], container["Name"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"] > 0, name
        assert host["LogConfig"]["Config"].get("max-size"), name
        assert container["Config"]["User"].split(":")[0] not in ("", "0", "root"), name


def test_the_password_is_in_no_container_and_no_image(sample: Sample) -> None:
    password = (sample.envs_dir.parent / "secrets" / "database_password").read_text()
    assert len(password) >= 32
    assert password not in json.dumps(inspected(sample.project))
    for image in sample.json("image.list")["images"]:
        assert password not in docker("history", "--no-trunc", image["digest"])
        assert password not in docker("inspect", image["digest"])


def test_nginx_cannot_reach_the_database(sample: Sample) -> None:
    nginx = f"{sample.project}-nginx-1"
    reach = ["exec", nginx, "curl", "--silent", "--connect-timeout", "3", "--max-time", "20", "--output", "/dev/null"]
    assert docker(*reach, "--write-out", "%{http_code}", "http://app:8000/health", check=False) == "200"
    database = json.loads(docker("inspect", f"{sample.project}-database-1"))[0]["NetworkSettings"]["Networks"]
    for target in ("database", *(network["IPAddress"] for network in database.values())):
        result = subprocess.run(["docker", *reach, f"http://{target}:5432"], check=False, capture_output=True)
        # 6: no such name, 7: refused, 28: no answer. 52, an empty reply, is what PostgreSQL gives to HTTP.
        assert result.returncode in (6, 7, 28), target


def test_only_loopback_is_published_in_dev(sample: Sample) -> None:
    ports = [port for service in sample.json("deploy.status")["services"] for port in service["ports"]]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_status_names_every_service_and_its_health(sample: Sample) -> None:
    until_nothing_starts(sample.project)
    services = {service["service"]: service for service in sample.json("deploy.status")["services"]}
    assert set(services) == {"database", "migrate", "seed", "app", "nginx"}
    assert {services[name]["health"] for name in ("database", "app", "nginx")} == {"healthy"}
    assert services["migrate"]["state"] == services["seed"]["state"] == "completed"
    assert all(service["drift"] == [] for service in services.values())


def test_an_edit_of_a_go_file_is_served(sample: Sample) -> None:
    source = sample.project_dir / "app" / "src" / "handlers" / "status.go"
    original = source.read_text()
    assert '"healthy"' in original
    try:
        source.write_text(original.replace('"healthy"', '"edited"'))
        _wait_for(sample, "edited")
    finally:
        source.write_text(original)
        _wait_for(sample, "healthy")


def _wait_for(sample: Sample, word: str) -> None:
    """Wait until the service was compiled again, started, and says a word."""

    def says() -> bool:
        try:
            return bool(sample.get("/health")[1]["status"] == word)
        except OSError:
            return False

    until(says, f"/health says {word!r}", 240)


def test_migrating_and_seeding_twice_is_harmless(sample: Sample) -> None:
    before = sample.get("/api/users")[1]["total"]
    for task in ("db.migrate", "db.seed", "db.migrate", "db.seed"):
        sample.inv(task)
    assert sample.get("/api/users")[1]["total"] == before
    assert not [name for name in containers(sample.project) if "-run-" in name]


def test_data_survives_down_and_up(sample: Sample) -> None:
    total = sample.get("/api/users")[1]["total"]
    sample.inv("deploy.down")
    assert containers(sample.project) == {}
    sample.inv("deploy.dev")
    assert sample.get("/api/users")[1]["total"] == total


def test_the_dry_run_pasted_into_sh_line_by_line_does_the_job_and_clean_removes_it_and_nothing_else(
    tmp_path: Path, sample: Sample
) -> None:
    name = f"{sample.project}-paste"
    pasted = make_sample(tmp_path, name, sample.project_dir)
    other_volume = docker("volume", "create", "--label", f"com.docker.compose.project={sample.project}-other")
    try:
        pasted.inv("setup")
        script = pasted.inv("--dry", "deploy.dev").stdout
        assert containers(name) == {}
        # One line after the other, as typed: a shell that reads its commands from a pipe.
        with subprocess.Popen(["sh", "-e"], stdin=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL) as shell:
            assert shell.stdin
            for line in script.splitlines():
                shell.stdin.write(line + "\n")
                shell.stdin.flush()
        assert shell.returncode == 0
        assert pasted.get("/api/users")[1]["total"] == 20
        assert pasted.json("deploy.dev")["outcome"] == "unchanged"

        running = containers(sample.project)
        dry = pasted.inv("--dry", "clean", "--volumes", "--images").stdout
        assert f"# container {name}-app-1 (running)" in dry.splitlines()
        assert "no terminal" in pasted.inv("clean", "--volumes", code=3).stderr
        assert leftovers(name)
        said = pasted.inv("clean", "--volumes", "--images", "--yes").stderr
        assert f"volume {name}_database" in said
        assert "frees up to" in said
        assert leftovers(name) == []
        assert containers(sample.project) == running
        assert docker("volume", "ls", "-q", "--filter", f"name={other_volume}") == other_volume
        assert "nothing to remove" in pasted.inv("clean").stderr
    finally:
        docker("volume", "rm", other_volume)
        for project in pasted.projects:
            remove(project)
    assert leftovers(name) == []


def test_a_checkout_with_commits_is_deployed_again_after_the_next_one(tmp_path: Path, sample: Sample) -> None:
    """Without commits the version never changes, and what depends on it is not tested."""
    name = f"{sample.project}-git"
    made = make_sample(tmp_path, name, Path(shutil.copytree(sample.project_dir, tmp_path / "project")))
    git = ["git", "-C", str(made.project_dir), "-c", "user.name=a", "-c", "user.email=a@example.net"]
    handler = made.project_dir / "app" / "src" / "handlers" / "status.go"
    try:
        subprocess.run([*git, "init", "-q"], check=True)
        for text in ("", "\n// Another commit.\n"):
            handler.write_text(handler.read_text() + text)
            subprocess.run([*git, "add", "-A"], check=True)
            subprocess.run([*git, "commit", "-qm", "one"], check=True)
            made.inv("setup", "deploy.dev")
            assert made.json("deploy.dev")["outcome"] == "unchanged"
            assert made.get("/health")[0] == 200
    finally:
        for project in made.projects:
            remove(project)
    assert leftovers(name) == []


def test_logs_are_data_and_can_be_filtered(sample: Sample) -> None:
    sample.get("/api/users?limit=1")
    logged(sample, 1, "--service", "app", "--grep", "/api/users")
    lines = sample.inv("logs", "--service", "app", "--grep", "/api/users").stdout.splitlines()
    assert lines
    assert all("/api/users" in line for line in lines)


def test_a_reader_that_stops_early_is_no_error(sample: Sample) -> None:
    for words in (["logs"], ["deploy.status"], ["ps", "--json"], ["--dry", "deploy.down"]):
        with subprocess.Popen(
            sample.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=sample.environment()
        ) as task:
            assert task.stdout
            assert task.stderr
            task.stdout.readline()
            task.stdout.close()
            said = task.stderr.read().decode()
        assert task.returncode in (0, 141), words
        assert "Traceback" not in said
        assert "BrokenPipe" not in said
