"""The namespace: the one place where tasks get their names; nothing else happens here."""

from invoke import Collection

from . import build, db, deploy, env, image, machine, operate, scan, test
from .host.files import environments
from .host.namespace import for_environment

ns = Collection(
    Collection("build", build.all_, build.size),
    Collection(
        "image",
        image.list_,
        image.tags,
        image.push,
        image.pull,
        image.promote,
        image.sign,
        image.verify,
        image.bases,
        image.sbom,
    ),
    Collection(
        "deploy",
        deploy.plan,
        deploy.status,
        deploy.history,
        deploy.rollback,
        deploy.down,
        deploy.unlock,
        deploy.maintenance,
    ),
    Collection("db", db.migrate, db.seed, db.shell, db.backup, db.restore),
    Collection("test", test.all_, test.unit, test.integration, test.security, test.smoke, test.load, test.bench),
    Collection("scan", scan.all_, scan.code, scan.dockerfiles, scan.images, scan.secrets, scan.hardening, scan.db),
    Collection("env", env.list_, env.show, env.diff, env.check, env.new, env.adopt),
    scan.security_scan,
    operate.logs,
    operate.shell,
    operate.ps,
    operate.clean,
    machine.setup,
    machine.doctor,
    machine.check,
    machine.completion,
)
for name in environments():
    ns.collections["build"].add_task(
        for_environment(build.all_.body, name, f"Build the images of all services for {name}.", build.HELP)
    )
    ns.collections["deploy"].add_task(
        for_environment(deploy.deploy, name, f"Build what changed and bring {name} up, healthy.", deploy.HELP)
    )
