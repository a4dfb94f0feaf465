"""All benchmarks: `python -m tests.bench`. Exit 1 when a ratio is over its bar."""

import sys

from tests.bench import building, deploying, integration, listing, many, releasing, reloading, scanning, testing

figures = [
    listing.run(),
    *deploying.run(),
    *many.run(),
    *reloading.run(),
    *building.run(),
    *integration.run(),
    *testing.run(),
    *scanning.run(),
    *releasing.run(),
]
for figure in figures:
    print(figure.line())
sys.exit(any(figure.ratio > figure.bar for figure in figures))
