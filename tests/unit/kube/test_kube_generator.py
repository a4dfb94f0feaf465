"""The load generator as a Job by itself."""

from kube_data import kube_source

from tasks.kube.plan.live import generator
from tasks.kube.plan.translate import translate

MODEL = {
    "name": "shop",
    "services": {
        "web": {"image": "web:1"},
        "load": {
            "image": "load:1",
            "build": {"context": "/p/load"},
            "profiles": ["load"],
            "depends_on": {"web": {"condition": "service_healthy"}},
            "networks": {"front": None},
            "user": "1000:1000",
            "configs": [{"source": "script", "target": "/script"}],
            "x-slipway": {"role": "load-generator", "load": {"targets": ["GET http://web/"]}},
        },
    },
    "networks": {"front": {}},
    "configs": {"script": {"content": "ask"}},
}


def test_the_generator_is_a_job_that_runs_once_in_the_networks_of_its_service() -> None:
    model = generator.alone(
        MODEL, "load", "registry/load@sha256:1", ["-rate", "5", "-duration", "9s", "GET http://web/?a=$b"]
    )
    source = kube_source(model["services"], networks=model["networks"], configs=model["configs"])

    job, files = generator.job(translate(source).objects, "shop-load-1", 75.5)

    assert list(model["services"]) == ["load"]
    spec = job["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 75)
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert pod["containers"][0]["image"] == "registry/load@sha256:1"
    assert pod["containers"][0]["args"] == ["-rate", "5", "-duration", "9s", "GET http://web/?a=$b"]
    (warm,) = pod["initContainers"]
    assert (warm["name"], warm["args"][:4]) == ("load-warm-up", ["-rate", "1", "-duration", "3s"])
    assert warm["securityContext"] == pod["containers"][0]["securityContext"]
    labels = spec["template"]["metadata"]["labels"]
    assert labels["network.slipway/front"] == "true"
    assert labels["app.kubernetes.io/part-of"] == "shop"
    assert "annotations" not in job["metadata"]
    assert [raw["kind"] for raw in files] == ["ConfigMap"]


def test_its_files_go_with_the_job() -> None:
    (made,) = generator.owned(
        [{"kind": "ConfigMap", "metadata": {"name": "script"}}], {"metadata": {"name": "shop-load-1", "uid": "7"}}
    )

    assert made["metadata"]["ownerReferences"] == [
        {"apiVersion": "batch/v1", "kind": "Job", "name": "shop-load-1", "uid": "7"}
    ]
