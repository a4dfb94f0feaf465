"""`inv deploy.dev` ÷ the same `docker compose up -d --wait` by hand: with nothing to do, and from no container."""

from tests.bench import listing
from tests.bench.measure import Figure, by_hand, hand_environment, pairs, sample_stack, seconds
from tests.e2e.support import Sample


def run() -> list[Figure]:
    """Measure and return the figures."""
    with sample_stack("deploy") as sample:
        sample.inv("deploy.dev")
        return [_unchanged(sample), listing.status(sample), _created(sample)]


def _unchanged(sample: Sample) -> Figure:
    hand = hand_environment(sample)
    ours, theirs = pairs(
        lambda: seconds(sample.command("deploy.dev"), sample.environment()),
        lambda: by_hand(sample, hand, "up", "-d", "--wait"),
        7,
    )
    return Figure("deploy.dev with nothing to do ÷ compose up -d --wait", ours, theirs, 0.5)


def _created(sample: Sample) -> Figure:
    hand = hand_environment(sample)

    def ours() -> float:
        by_hand(sample, hand, "down", "--volumes")
        return seconds(sample.command("deploy.dev"), sample.environment())

    def theirs() -> float:
        by_hand(sample, hand, "down", "--volumes")
        return by_hand(sample, hand, "up", "-d", "--wait")

    slipway, compose = pairs(ours, theirs, 7)
    return Figure("deploy.dev with images and no container ÷ compose up -d --wait", slipway, compose, 1.15)


if __name__ == "__main__":
    for figure in run():
        print(figure.line())
