"""Error budgets and the slowest routes, from answers of Prometheus."""

from tasks.monitor.view.plan import budget, routes
from tasks.monitor.view.plan.figures import processor_limits
from tasks.telemetry.plan.series import Series


def series(value: float, **labels: str) -> Series:
    return Series(labels, ((0.0, value),))


def test_what_is_known_of_an_objective_comes_together_and_the_rest_is_not_known() -> None:
    one, other = {"sloth_service": "web", "sloth_slo": "b"}, {"sloth_service": "web", "sloth_slo": "a"}
    found = budget.objectives(
        {"objective": [series(0.999, **one), series(0.99, **other)], "left": [series(-0.2, **one)], "burn": []}
    )
    assert [(item.name, item.objective, item.left, item.burn) for item in found] == [
        ("a", 0.99, None, None),
        ("b", 0.999, -0.2, None),
    ]


def test_the_rules_of_objectives_have_the_names_of_sloth() -> None:
    assert budget.EXPRESSIONS["left"] == "max by (sloth_service, sloth_slo) (slo:period_error_budget_remaining:ratio)"


def test_routes_are_the_slowest_first_and_those_that_nobody_asked_are_left_out() -> None:
    def of(value: float, route: str) -> Series:
        return series(value, http_request_method="GET", http_route=route)

    found = routes.slowest(
        {
            "requests": [of(10, "/quick"), of(3, "/slow"), of(0, "/never"), of(1, "/unknown")],
            "errors": [of(0.5, "/slow")],
            "p99": [of(0.01, "/quick"), of(2, "/slow"), of(9, "/never")],
        }
    )
    assert [(one.route, one.errors, one.p99) for one in found] == [
        ("/slow", 0.5, 2.0),
        ("/quick", None, 0.01),
        ("/unknown", None, None),
    ]


def test_there_are_ten_routes_at_most() -> None:
    many = [series(number, http_route=f"/{number}") for number in range(1, 30)]
    found = routes.slowest({"requests": many, "errors": [], "p99": many})
    assert [one.route for one in found] == [f"/{number}" for number in range(29, 19, -1)]


def test_a_limit_of_processors_is_found_where_compose_has_it() -> None:
    services = {
        "plain": {"image": "x"},
        "short": {"cpus": 0.5},
        "long": {"deploy": {"resources": {"limits": {"cpus": "1.5"}}}},
        "memory": {"deploy": {"resources": {"limits": {"memory": "1"}}}},
    }
    assert processor_limits({"services": services}) == {"short": 0.5, "long": 1.5}
    assert processor_limits({}) == {}
