"""What a Dockerfile takes of its build context."""

import pytest

from tasks.build.plan.copies import plain, selection, taken_paths
from tasks.build.plan.dockerfile import parse


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("COPY settings /settings", ("settings",)),
        ("copy a b/ ./c/* /out/", ("a", "b", "c/*")),
        ("COPY --chown=70:70 --link settings /settings", ("settings",)),
        ('COPY ["with blank", "/out/"]', ("with blank",)),
        ("COPY /rooted ../above /out/", ("rooted", "above")),
        ("COPY . .", (".",)),
        ("COPY / /", (".",)),
        ("COPY --from=builder /app /app", ()),
        ("COPY <<EOF /motd", ()),
        ("ADD https://example.com/x.tar.gz git@example.com:x.git /x/", ()),
        ("ADD rootfs.tar /", ("rootfs.tar",)),
        ("COPY settings $HOME/", ("settings",)),
        # Where that cannot be read off it: all of it.
        ("COPY $SOURCE /out", (".",)),
        ('COPY "with blank" /out/', (".",)),
        ("COPY with\\ blank /out/", (".",)),
        ('COPY ["broken, "/out/"]', (".",)),
        ("COPY --parents a/b /out/", (".",)),
        ("ONBUILD COPY x /x", (".",)),
        # What a step only mounts it takes as well.
        ("RUN --mount=type=bind,source=go.mod,target=go.mod go mod download", ("go.mod",)),
        ("RUN --mount=target=. --mount=type=cache,target=/root/.cache go build", (".",)),
        ("RUN --mount=type=bind,from=builder,source=/x,target=/y true", ()),
        ("RUN --mount=type=secret,id=ca true", ()),
        ('RUN --mount=type=bind,"source=a b",target=/y true', (".",)),
        ("RUN echo --mount=type=bind,source=x", ()),
        ("ENV COPY=x", ()),
    ],
)
def test_an_instruction_takes_paths_of_the_context(line: str, expected: tuple[str, ...]) -> None:
    assert taken_paths(line) == expected


STAGES = """\
FROM debian AS settings
COPY settings /settings
FROM settings AS database
COPY --from=tools /tool /tool
FROM golang AS tools
COPY go.* src/ ./
FROM debian AS migrate
COPY migrations /migrations
FROM postgres AS bare
RUN true
FROM debian AS all
COPY . .
FROM all AS last
COPY one /one
"""


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("settings", ("settings",)),
        ("database", ("go.*", "settings", "src")),
        ("migrate", ("migrations",)),
        ("bare", ()),
        ("all", None),
        ("", None),
    ],
)
def test_a_stage_takes_what_the_stages_take_that_it_is_made_of(stage: str, expected: tuple[str, ...] | None) -> None:
    assert parse(STAGES).takes(stage) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM scratch\n# escape=`\n", True),
        ("# syntax=docker/dockerfile:1.7\n# escape=\\\nFROM scratch\n", True),
        ("# syntax = docker.io/docker/dockerfile-upstream:master-labs\nFROM scratch\n", True),
        ("# a comment\n# escape=`\nFROM scratch\n", True),
        ("# escape=`\nFROM scratch\n", False),
        ("# syntax=docker/dockerfile:1\n# escape=`\nFROM scratch\n", False),
        ("# syntax=example.com/mine:1\nFROM scratch\n", False),
    ],
)
def test_a_directive_may_change_what_instructions_mean(text: str, expected: bool) -> None:
    assert plain(text) is expected
    assert bool(parse(f"{text}FROM debian\nCOPY a /a\n").takes("")) is expected


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("settings", "settings", True),
        ("settings", "settings/deep/file", True),
        ("settings", "settings.old", False),
        ("settings", "other/settings", False),
        ("conf/*.d", "conf/a.d/x", True),
        ("conf/*.d", "conf/a/b.d", False),
        ("conf/*.d", "conf", False),
        ("?.txt", "a.txt", True),
        ("?.txt", "ab.txt", False),
        ("a+b", "aab", False),
        ("[ab].txt", "c.txt", True),  # more than is taken, never less
    ],
)
def test_a_pattern_takes_what_it_names_and_all_below(pattern: str, name: str, expected: bool) -> None:
    assert selection([pattern]).takes(name) is expected


def test_a_pattern_goes_through_the_directories_above() -> None:
    selected = selection(["conf/*.d/main"])
    assert [selected.leads(name) for name in ("conf", "conf/a.d", "conf/a.d/main", "conf/a.d/main/x", "other")] == [
        True,
        True,
        True,
        False,
        False,
    ]
