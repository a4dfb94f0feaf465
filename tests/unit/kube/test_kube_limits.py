"""How much of a node a container may use, and how much is kept for it."""

from typing import Any

import pytest
from outside import by_key, source

from tasks.kube.plan.confinement.limits import bytes_of, cpus, part, size
from tasks.kube.plan.part import Part
from tasks.model.errors import InputError


def limits(**fields: Any) -> Part:
    found = source({"web": fields})
    return part(found, found.stack.services["web"])


def test_limits_of_the_service_are_those_of_the_container() -> None:
    # 128m, as Compose prints it.
    found = limits(mem_limit="134217728", cpus=0.5, pids_limit=100)
    assert found.container["resources"] == {
        "limits": {"cpu": "500m", "memory": "128Mi"},
        "requests": {"cpu": "125m", "memory": "128Mi"},
    }
    outcomes = by_key(found)
    assert outcomes["mem_limit"].kind == outcomes["cpus"].kind == "translated"
    assert outcomes["pids_limit"].kind == "ignored" and "podPidsLimit" in outcomes["pids_limit"].reason
    assert outcomes["deploy.resources.reservations.cpus"].kind == "inferred"
    assert "1/4" in outcomes["deploy.resources.reservations.cpus"].reason


def test_the_deploy_form_says_the_same() -> None:
    found = limits(deploy={"resources": {"limits": {"cpus": "0.5", "memory": "134217728", "pids": 100}}})
    assert found.container["resources"]["limits"] == {"cpu": "500m", "memory": "128Mi"}
    assert by_key(found)["deploy.resources.limits.pids"].kind == "ignored"


def test_reservations_are_requests() -> None:
    resources = {"limits": {"cpus": 2, "memory": "1073741824"}, "reservations": {"cpus": 0.25, "memory": "536870912"}}
    found = limits(deploy={"resources": resources})
    assert found.container["resources"] == {
        "limits": {"cpu": "2", "memory": "1Gi"},
        "requests": {"cpu": "250m", "memory": "512Mi"},
    }
    assert {outcome.kind for outcome in found.outcomes} == {"translated"}


def test_a_limit_of_deploy_leaves_the_other_one_of_the_service() -> None:
    found = limits(mem_limit="134217728", deploy={"resources": {"limits": {"cpus": "1"}}})
    assert found.container["resources"]["limits"] == {"cpu": "1", "memory": "128Mi"}


def test_deploy_decides_where_both_say_a_limit() -> None:
    found = limits(mem_limit="134217728", deploy={"resources": {"limits": {"memory": "268435456"}}})
    assert found.container["resources"]["limits"] == {"memory": "256Mi"}
    assert by_key(found)["mem_limit"].kind == "ignored"


def test_without_limits_nothing_is_kept() -> None:
    assert limits().container == {} and limits().outcomes == ()


def test_a_quota_is_a_limit_and_shares_are_a_request() -> None:
    found = limits(cpu_quota=50_000, cpu_period="25000", cpu_shares=512)
    assert found.container["resources"] == {"limits": {"cpu": "2"}, "requests": {"cpu": "500m"}}
    assert {outcome.kind for outcome in found.outcomes} == {"translated"}


def test_no_more_is_asked_for_than_the_limit() -> None:
    assert limits(cpus=0.5, cpu_shares=2048).container["resources"]["requests"] == {"cpu": "500m"}
    assert limits(cpus=0.005).container["resources"] == {"limits": {"cpu": "5m"}, "requests": {"cpu": "5m"}}


def test_a_size_of_the_container_is_a_limit_of_its_disk() -> None:
    assert limits(storage_opt={"size": "2G"}).container["resources"] == {"limits": {"ephemeral-storage": "2Gi"}}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"gpus": [{"count": 2}]}, {"nvidia.com/gpu": "2"}),
        ({"gpus": [{"driver": "amd", "device_ids": ["0", "1"]}]}, {"amd.com/gpu": "2"}),
        (
            {"deploy": {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"], "count": 1}]}}}},
            {"nvidia.com/gpu": "1"},
        ),
    ],
)
def test_a_graphics_processor_is_a_resource_of_its_plugin(fields: dict[str, Any], expected: dict[str, str]) -> None:
    found = limits(**fields)
    assert found.container["resources"]["limits"] == expected
    assert found.outcomes[0].kind == "inferred"


@pytest.mark.parametrize(
    "fields",
    [
        {"gpus": "all"},
        {"gpus": [{"count": -1}]},
        {"gpus": [{"driver": "tenstorrent", "count": 1}]},
        {"deploy": {"resources": {"reservations": {"devices": [{"capabilities": ["tpu"], "count": 1}]}}}},
        {"deploy": {"resources": {"reservations": {"generic_resources": [{"discrete_resource_spec": {}}]}}}},
    ],
)
def test_a_device_that_no_plugin_is_known_to_have_is_refused(fields: dict[str, Any]) -> None:
    found = limits(**fields)
    assert found.container == {}
    assert [outcome.kind for outcome in found.outcomes] == ["refused"]


@pytest.mark.parametrize(
    "key",
    ["memswap_limit", "mem_swappiness", "oom_kill_disable", "oom_score_adj", "cpuset", "cpu_rt_period", "blkio_config"],
)
def test_what_has_no_counterpart_is_named(key: str) -> None:
    found = limits(**{key: 1})
    assert found.container == {}
    assert by_key(found)[key].kind == "ignored" and by_key(found)[key].reason


@pytest.mark.parametrize(
    ("text", "number"),
    [("128m", 134_217_728), ("1.5g", 1_610_612_736), ("1GiB", 1_073_741_824), ("10", 10), ("2kb", 2048), ("5b", 5)],
)
def test_units_are_binary_as_in_compose(text: str, number: int) -> None:
    assert bytes_of(text, "mem_limit") == number


def test_what_is_no_size_is_refused() -> None:
    with pytest.raises(InputError, match="mem_limit: expected a size, got 'much'"):
        bytes_of("much", "mem_limit")


def test_quantities_are_exact() -> None:
    assert [size(number) for number in (2**30, 2**20 * 3, 2**10, 1500)] == ["1Gi", "3Mi", "1Ki", "1500"]
    assert [cpus(number) for number in (1, 500, 1000, 2500)] == ["1m", "500m", "1", "2500m"]
