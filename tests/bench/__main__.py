"""All benchmarks: `python -m tests.bench`. Exit 1 when a ratio is over its bar, and not when that is not decided."""

import sys

from tests.bench import (
    alerting,
    building,
    canary,
    deploying,
    drawing,
    integration,
    listing,
    many,
    monitoring,
    planning,
    releasing,
    reloading,
    scanning,
    telemetry,
    telling,
    testing,
    together,
    translating,
)

figures = [
    *listing.run(),
    *deploying.run(),
    *drawing.run(),
    *many.run(),
    *planning.run(),
    *together.run(),
    *reloading.run(),
    *building.run(),
    *integration.run(),
    *testing.run(),
    *scanning.run(),
    *releasing.run(),
    *canary.run(),
    *telling.run(),
    *telemetry.run(),
    *alerting.run(),
    *monitoring.run(),
    *translating.run(),
]
for figure in figures:
    print(figure.line())
sys.exit(any(figure.verdict == "OVER" for figure in figures))
