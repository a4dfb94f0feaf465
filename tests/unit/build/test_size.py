"""Image sizes against their budget."""

import pytest
from support import image, service

from tasks.build.plan.size import report
from tasks.model.engine.facts import ImageLayer

BUDGETED = {
    "image": "shop/web:dev",
    "build": {"context": "/web", "target": "production"},
    "x-slipway": {"size-budget": "20MB"},
}


@pytest.mark.parametrize(("size", "over"), [(19_999_999, False), (20_000_000, False), (20_000_001, True)])
def test_an_image_is_over_budget_when_it_is_larger(size: int, over: bool) -> None:
    assert report(service(**BUDGETED), image(size=size), ()).over_budget is over


def test_without_a_budget_no_image_is_too_large() -> None:
    assert not report(service(image="shop/web:dev"), image(size=10**12), ()).over_budget


def test_an_image_that_is_not_built_is_not_over_budget() -> None:
    size = report(service(**BUDGETED), None, ())

    assert (size.digest, size.size, size.over_budget) == ("", 0, False)


def test_the_document_has_the_contracts_members() -> None:
    size = report(
        service(**BUDGETED), image("sha256:a", size=7), [ImageLayer("COPY /app /app", 7), ImageLayer("USER 1", 0)]
    )

    assert size.document() == {
        "service": "web",
        "target": "production",
        "reference": "shop/web:dev",
        "digest": "sha256:a",
        "size": 7,
        "budget": 20_000_000,
        "over_budget": False,
        "layers": [{"instruction": "COPY /app /app", "size": 7}, {"instruction": "USER 1", "size": 0}],
    }


def test_no_budget_is_null_in_the_document() -> None:
    assert report(service(), None, ()).document()["budget"] is None
