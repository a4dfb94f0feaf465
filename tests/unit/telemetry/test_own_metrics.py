"""What Slipway tells monitoring, as the node exporter reads it."""

from tasks.telemetry.plan import own_metrics

LABELS = {"project": "shop", "environment": "prod"}


def test_each_service_has_its_count_of_differences() -> None:
    assert own_metrics.drift(LABELS, {"app": 0, "web": 2}).splitlines() == [
        "# HELP slipway_drift How many differences a service has from its release.",
        "# TYPE slipway_drift gauge",
        'slipway_drift{project="shop",environment="prod",service="app"} 0',
        'slipway_drift{project="shop",environment="prod",service="web"} 2',
    ]


def test_moments_are_seconds_since_the_epoch() -> None:
    own = '{project="shop",environment="prod"}'
    assert own_metrics.backup(LABELS, 5.25).endswith(f"slipway_backup_timestamp_seconds{own} 5.25\n")
    assert own_metrics.vulnerability_database(LABELS, 7).endswith(f"_timestamp_seconds{own} 7\n")


def test_without_samples_there_is_no_line() -> None:
    assert own_metrics.drift(LABELS, {}) == ""


def test_labels_are_escaped() -> None:
    text = own_metrics.backup({"project": 'a"b\\c\nd'}, 1.0)
    assert 'project="a\\"b\\\\c\\nd"' in text
