"""The namespace: gives all tasks their names, and does nothing else."""

from invoke import Collection

from . import adopt, build, chaos, db, deploy, env, gitops, helm, image, kube, mesh, monitor, operate, scan, setup, test
from .cli.per_environment import Namespace, for_environment
from .host.profile.settings import environments

ns = Collection(
    Namespace("build", build.all_, build.size),
    Namespace(
        "image",
        build.list_,
        build.tags,
        image.push,
        image.pull,
        image.promote,
        image.sign_,
        image.verify_,
        setup.bases,
        scan.sbom_,
    ),
    Namespace(
        "deploy",
        deploy.plan_,
        deploy.status_,
        deploy.history,
        deploy.rollback,
        deploy.down_,
        deploy.unlock,
        deploy.maintenance_,
    ),
    Namespace("db", db.migrate, db.seed, db.shell, db.backup_, db.restore),
    Namespace(
        "test",
        test.all_,
        test.unit_,
        test.integration_,
        test.security_,
        test.smoke_,
        test.telemetry_,
        test.load_,
        test.bench_,
        chaos.test_chaos,
    ),
    Namespace("scan", scan.all_, scan.code_, scan.dockerfiles_, scan.images_, scan.secrets_, scan.hardening_, scan.db),
    Namespace(
        "monitor",
        monitor.up_,
        monitor.down_,
        monitor.open_,
        monitor.check_,
        monitor.status_,
        monitor.report_,
    ),
    Namespace(
        "gitops",
        gitops.run,
        gitops.once,
        gitops.status_,
        gitops.suspend,
        gitops.resume,
        gitops.install_,
        gitops.export_,
    ),
    Namespace("chaos", chaos.inject_, chaos.stop, chaos.list_, chaos.run_, chaos.report_),
    Namespace("kube", kube.render_, kube.report_, kube.check_, kube.autoscale_),
    Namespace("helm", helm.package_, helm.push_),
    Namespace("mesh", mesh.check_),
    Namespace("env", env.list_, env.show, env.diff, env.check, env.new_, env.adopt),
    adopt.adopt_,
    scan.security_scan,
    operate.logs,
    operate.shell,
    operate.ps,
    operate.clean,
    setup.setup_,
    setup.doctor_,
    setup.check_,
    setup.completion_,
)
for name in environments():
    ns.collections["build"].add_task(
        for_environment(build.all_.body, name, f"Build the images of all services for {name}.", build.HELP)
    )
    ns.collections["deploy"].add_task(
        for_environment(deploy.deploy_, name, f"Build what changed and bring {name} up, healthy.", deploy.HELP)
    )
