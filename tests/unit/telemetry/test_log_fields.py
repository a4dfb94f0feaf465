"""What lines of logs say of themselves, in the forms that programs write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.telemetry.plan.log_fields import LEVELS, continues, fields

_TRACE, _SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("text", "level"),
    [
        # JSON: slog, zap, pino and bunyan, GELF, Google, ECS, OpenTelemetry, Serilog, MongoDB, Python
        ('{"time":"2026-11-29T08:00:00Z","level":"INFO","msg":"ERROR in the text"}', "info"),
        ('{"level":"dpanic","msg":"x"}', "fatal"),
        ('{"level":10,"msg":"x"}', "trace"),
        ('{"level":20,"msg":"x"}', "debug"),
        ('{"level":30,"time":1,"pid":1,"msg":"x"}', "info"),
        ('{"level":40,"msg":"x"}', "warn"),
        ('{"level":50,"msg":"x"}', "error"),
        ('{"level":60,"msg":"x"}', "fatal"),
        ('{"level":35,"msg":"between two"}', "info"),
        ('{"version":"1.1","level":4,"short_message":"x"}', "warn"),
        ('{"version":"1.1","level":3,"short_message":"x"}', "error"),
        ('{"level":"50"}', "error"),
        ('{"severity":"WARNING","message":"x"}', "warn"),
        ('{"lvl":"eror","msg":"x"}', "error"),
        ('{"log.level":"error","message":"x"}', "error"),
        ('{"log":{"level":"warn"},"message":"x"}', "warn"),
        ('{"SeverityText":"Error","Body":"x"}', "error"),
        ('{"severityNumber":17}', "error"),
        ('{"@t":"2026-11-29T08:00:00Z","@l":"Fatal","@mt":"x"}', "fatal"),
        ('{"t":{"$date":"x"},"s":"W","c":"NETWORK","msg":"x"}', "warn"),
        ('{"s":"D2","msg":"x"}', "debug"),
        ('{"levelname":"CRITICAL","message":"x"}', "fatal"),
        ('{"level":true,"severity":"info"}', "info"),
        ('{"level":null}', ""),
        ('{"msg":"no level, but an error"}', ""),
        # access
        ('{"method":"GET","status":502}', "error"),
        ('{"method":"GET","status":"404"}', "info"),
        ('{"status":502,"of":"something else"}', ""),
        ('10.0.0.1 - - [29/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 2 "-" "curl"', "info"),
        ('10.0.0.1 - - [29/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 503 2 "-" "curl"', "error"),
        # logfmt
        ('time="2026-11-29T08:00:00Z" level=warning msg="an error: x"', "warn"),
        ("ts=1 caller=main.go:1 level=error err=timeout", "error"),
        ('msg="level=error" lvl=dbug', "debug"),
        # PostgreSQL
        ("2026-11-29 08:00:00.000 UTC [1] LOG:  database system is ready to accept connections", "info"),
        ("2026-11-29 08:00:00.000 UTC [1] FATAL:  password authentication failed", "fatal"),
        ("2026-11-29 08:00:00.000 UTC [1] WARNING:  there is no transaction in progress", "warn"),
        ("2026-11-29 08:00:00.000 UTC [1] DEBUG2:  x", "debug"),
        ("2026-11-29 08:00:00.000 UTC [1] STATEMENT:  INSERT INTO ERROR VALUES (1)", ""),
        # nginx, MySQL, Redis, Apache
        ("2026/11/29 08:00:00 [error] 7#7: *1 connect() failed", "error"),
        ("2026/11/29 08:00:00 [emerg] 1#1: host not found in upstream", "fatal"),
        ("2026/11/29 08:00:00 [notice] 1#1: start worker processes", "info"),
        ("2026-11-29T08:00:00.0Z 0 [System] [MY-010931] [Server] ready for connections", "info"),
        ("2026-11-29T08:00:00.0Z 0 [Warning] [MY-010068] [Server] CA certificate is self signed", "warn"),
        ("1:M 29 Nov 2026 08:00:00.000 # WARNING Memory overcommit must be enabled!", "warn"),
        ("1:M 29 Nov 2026 08:00:00.000 * Ready to accept connections", "info"),
        ("[Sun Nov 29 08:00:00.0 2026] [core:error] [pid 1] x", "error"),
        # Java, Python, Ruby, .NET, glog, syslog, Rust, Node
        ("2026-11-29T08:00:00.000Z  WARN 1 --- [main] c.e.App : x", "warn"),
        ("08:00:00.000 [main] ERROR com.example.App - x", "error"),
        ("WARNING:root:an ERROR", "warn"),
        ("2026-11-29 08:00:00,000 - app - CRITICAL - x", "fatal"),
        ("2026-11-29 08:00:00 +0000 [info]: fluent starts", "info"),
        ("E, [2026-11-29T08:00:00.0 #1] ERROR -- : x", "error"),
        ("fail: Microsoft.AspNetCore.Server.Kestrel[13]", "error"),
        ("W1129 08:00:00.000000       1 reflector.go:1] x", "warn"),
        ("<3>kernel: x", "error"),
        ("\x1b[2m2026-11-29T08:00:00Z\x1b[0m \x1b[31mERROR\x1b[0m app: x", "error"),
        ("panic: runtime error: index out of range", "fatal"),
        ("Traceback (most recent call last):", "error"),
        ("java.lang.IllegalStateException: x", "error"),
        # nothing
        ("plain text about an error", ""),
        ("GET /INFO.html ERROR=no", ""),
        ("https://error:secret@host", ""),
        ("", ""),
        ("{", ""),
        ("[]", ""),
    ],
)  # fmt: skip
def test_a_level_is_recognised(text: str, level: str) -> None:
    assert fields(text).level == level


@pytest.mark.parametrize(
    ("text", "trace", "span"),
    [
        (f'{{"trace_id":"{_TRACE}","span_id":"{_SPAN}"}}', _TRACE, _SPAN),
        (f'{{"traceId":"{_TRACE.upper()}","spanId":"{_SPAN}"}}', _TRACE, _SPAN),
        (f'{{"trace":{{"id":"{_TRACE}"}},"span":{{"id":"{_SPAN}"}}}}', _TRACE, _SPAN),
        (f'{{"trace.id":"{_TRACE}"}}', _TRACE, ""),
        (f'{{"otelTraceID":"{_TRACE}","otelSpanID":"{_SPAN}"}}', _TRACE, _SPAN),
        (f'{{"logging.googleapis.com/trace":"projects/x/traces/{_TRACE}"}}', _TRACE, ""),
        (f"level=info traceID={_TRACE} msg=x", _TRACE, ""),
        (f"INFO [app,{_SPAN}] traceparent: 00-{_TRACE}-{_SPAN}-01", _TRACE, _SPAN),
        ('{"trace_id":"","span_id":""}', "", ""),
        ('{"trace_id":"00000000000000000000000000000000"}', "", ""),
        ('{"trace_id":17}', "", ""),
        (f"md5 {_TRACE}", "", ""),
    ],
)
def test_a_trace_is_recognised(text: str, trace: str, span: str) -> None:
    assert (fields(text).trace_id, fields(text).span_id) == (trace, span)


def test_a_line_that_is_an_object_is_data() -> None:
    assert fields('{"a":{"b":1}}').data == {"a": {"b": 1}}
    assert fields('"a"').data is None


@pytest.mark.parametrize(
    "text", ["    at com.example.App", "\tfile.go:7", "}", "Caused by: x", "goroutine 1 [running]:"]
)
def test_a_line_of_a_stack_trace_continues(text: str) -> None:
    assert continues(text)
    assert not continues("next")


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert fields(text).level in ("", *LEVELS)
    assert fields(f'{{"level":{text!r}').level in ("", *LEVELS)
