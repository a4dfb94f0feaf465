"""The metrics of deploys, as the node exporter reads them."""

from tasks.deploy.plan.deploy_metrics import Ended, outcome
from tasks.release.plan.release import Release

LABELS = {"project": "shop", "environment": "prod"}


def release(number: int, outcome: str, created: str) -> Release:
    return Release(number, "prod", f"1.{number}.0", "abc", created, "me@here", outcome, seconds=30.0)


def test_the_last_deploy_of_each_outcome_is_known() -> None:
    releases = [
        release(1, "deployed", "2026-11-29T05:00:00Z"),
        release(2, "rolled-back", "2026-11-29T06:00:00Z"),
        release(3, "deployed", "2026-11-29T07:00:00Z"),
    ]
    text = outcome(LABELS, Ended("failed", 1796000000.5, 12.25), releases)
    own = 'project="shop",environment="prod"'
    assert text.splitlines() == [
        "# HELP slipway_deploy_last_timestamp_seconds When a deploy last ended so, in seconds since the epoch.",
        "# TYPE slipway_deploy_last_timestamp_seconds gauge",
        f'slipway_deploy_last_timestamp_seconds{{{own},outcome="deployed"}} 1795935630',
        f'slipway_deploy_last_timestamp_seconds{{{own},outcome="rolled-back"}} 1795932030',
        f'slipway_deploy_last_timestamp_seconds{{{own},outcome="failed"}} 1796000000.5',
        "# HELP slipway_deploy_duration_seconds How long the last deploy took.",
        "# TYPE slipway_deploy_duration_seconds gauge",
        f"slipway_deploy_duration_seconds{{{own}}} 12.25",
        "# HELP slipway_deploy_outcome 1 for how the last deploy ended, 0 for all other ways.",
        "# TYPE slipway_deploy_outcome gauge",
        f'slipway_deploy_outcome{{{own},outcome="deployed"}} 0',
        f'slipway_deploy_outcome{{{own},outcome="rolled-back"}} 0',
        f'slipway_deploy_outcome{{{own},outcome="failed"}} 1',
        f'slipway_deploy_outcome{{{own},outcome="paused"}} 0',
        "# HELP slipway_release_info The release that serves.",
        "# TYPE slipway_release_info gauge",
        f'slipway_release_info{{{own},release="3",version="1.3.0"}} 1',
    ]


def test_what_is_not_known_has_no_line() -> None:
    text = outcome(LABELS, Ended("deployed", 1.0, 1.0), [])
    assert "slipway_release_info" not in text
    assert text.endswith("\n")
