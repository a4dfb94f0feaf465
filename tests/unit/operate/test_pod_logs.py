"""What kubectl prints of a log, as lines."""

from tasks.model.engine.log_lines import LogLine
from tasks.operate.plan import pod_log_lines


def test_each_line_has_its_time_in_nanoseconds() -> None:
    text = '2026-11-30T08:00:00.123456789Z ready\n2026-11-30T08:00:01Z {"level": "warn"}\r\n'

    assert list(pod_log_lines.parsed(text)) == [
        LogLine(1796025600123456789, "stdout", "ready"),
        LogLine(1796025601000000000, "stdout", '{"level": "warn"}'),
    ]


def test_what_kubectl_says_itself_is_no_line_of_the_log() -> None:
    assert list(pod_log_lines.parsed("unable to retrieve container logs for containerd://1\n")) == []


def test_a_time_is_written_as_it_is_read() -> None:
    stamp = "2026-11-30T08:00:00.000000042Z"

    assert pod_log_lines.text(pod_log_lines.moment(stamp)) == stamp


def test_a_container_that_was_not_started_has_no_log_yet() -> None:
    said = 'Error from server (BadRequest): container "app" in pod "app-1" is waiting to start: ContainerCreating'

    assert pod_log_lines.has_not_begun(said)
    assert not pod_log_lines.has_not_begun('Error from server (NotFound): pods "app-1" not found')
