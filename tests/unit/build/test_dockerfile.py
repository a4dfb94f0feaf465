"""The stage graph of a Dockerfile."""

import pytest

from tasks.build.plan.dockerfile import Dockerfile, parse

SAMPLE = """\
# syntax=docker/dockerfile:1
ARG GO_VERSION=1.27
FROM --platform=$BUILDPLATFORM golang:${GO_VERSION}-alpine AS builder
ARG VERSION=dev
ARG TARGETOS TARGETARCH
RUN --mount=type=cache,target=/root/.cache/go-build \\
    go build -o /app ./src

FROM builder AS tester
RUN go test ./...

FROM gcr.io/distroless/static AS certificates

FROM scratch AS production
COPY --from=builder /app /app
COPY --from=certificates /etc/ssl /etc/ssl
ENTRYPOINT ["/app"]

FROM debian:trixie AS debug
COPY --from=production /app /app
"""


def bases(text: str, **given: str) -> list[str]:
    return [stage.base for stage in parse(text, given).stages]


def names(dockerfile: Dockerfile, target: str) -> set[str]:
    return {stage.name for stage in dockerfile.reach(target)}


def test_the_stages_are_named_in_order() -> None:
    assert parse(SAMPLE).names() == ("builder", "tester", "certificates", "production", "debug")


def test_a_target_reaches_the_stages_it_is_made_of_and_no_others() -> None:
    dockerfile = parse(SAMPLE)

    assert names(dockerfile, "tester") == {"tester", "builder"}
    assert names(dockerfile, "production") == {"production", "builder", "certificates"}
    assert names(dockerfile, "debug") == {"debug", "production", "builder", "certificates"}


def test_the_images_of_a_target_are_those_of_the_stages_it_reaches() -> None:
    dockerfile = parse(SAMPLE)

    assert dockerfile.images("tester") == ("golang:1.27-alpine",)
    assert dockerfile.images("production") == ("gcr.io/distroless/static", "golang:1.27-alpine")
    assert dockerfile.images("debug") == ("debian:trixie", "gcr.io/distroless/static", "golang:1.27-alpine")


def test_all_images_leave_out_scratch_and_the_files_own_stages() -> None:
    assert parse(SAMPLE).all_images() == ("debian:trixie", "gcr.io/distroless/static", "golang:1.27-alpine")


def test_the_empty_target_is_the_last_stage() -> None:
    stage = parse(SAMPLE).find("")

    assert stage is not None
    assert stage.name == "debug"


def test_an_unknown_target_is_not_found_and_reaches_nothing() -> None:
    assert parse(SAMPLE).find("prodution") is None
    assert parse(SAMPLE).reach("prodution") == ()


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "ARG A=1\n", "RUN echo no stage\n"])
def test_a_file_without_a_stage_has_none(text: str) -> None:
    dockerfile = parse(text)

    assert dockerfile.stages == ()
    assert dockerfile.find("") is None
    assert dockerfile.images("") == ()


def test_instructions_may_be_in_lower_case() -> None:
    dockerfile = parse("arg V=1\nfrom golang:$V as builder\narg GOOS\nfrom scratch\ncopy --from=builder /app /app\n")

    assert [(stage.name, stage.base) for stage in dockerfile.stages] == [("builder", "golang:1"), ("1", "scratch")]
    assert dockerfile.images("") == ("golang:1",)
    assert dockerfile.declared("builder") == {"V", "GOOS"}


def test_stage_names_ignore_case() -> None:
    dockerfile = parse("FROM golang AS Builder\nFROM BUILDER AS tester\nFROM scratch\nCOPY --from=builder /app /app\n")

    assert dockerfile.images("") == ("golang",)
    assert dockerfile.images("TESTER") == ("golang",)
    assert dockerfile.all_images() == ("golang",)


def test_a_stage_without_a_name_is_known_by_its_position() -> None:
    dockerfile = parse("FROM golang\nRUN go build -o /app\nFROM scratch\nCOPY --from=0 /app /app\n")

    assert dockerfile.names() == ()
    assert names(dockerfile, "1") == {"0", "1"}
    assert dockerfile.images("") == ("golang",)


def test_a_named_stage_is_found_by_its_position_too() -> None:
    dockerfile = parse("FROM golang AS builder\nFROM scratch AS production\nCOPY --from=0 /app /app\n")

    assert names(dockerfile, "production") == {"builder", "production"}


def test_copy_from_may_name_an_image() -> None:
    dockerfile = parse(
        "FROM scratch\nCOPY --from=busybox:1.37 /bin/busybox /bin/\nCOPY --chown=1:1 --from=alpine /a /a\n"
    )

    assert dockerfile.images("") == ("alpine", "busybox:1.37")


@pytest.mark.parametrize(
    "mount",
    [
        "type=bind,from=builder,source=/app,target=/app",
        "type=cache,target=/cache,from=builder",
        "from=builder,target=/app",
        "target=/app,from=builder,readonly",
    ],
)
def test_a_mount_may_come_from_a_stage(mount: str) -> None:
    dockerfile = parse(f"FROM golang AS builder\nFROM debian\nRUN --mount={mount} install /app/app /usr/bin\n")

    assert dockerfile.images("") == ("debian", "golang")


def test_several_mounts_of_one_instruction_are_all_seen() -> None:
    dockerfile = parse(
        "FROM scratch\n"
        "RUN --mount=type=bind,from=alpine:3,target=/a --mount=type=secret,id=ca \\\n"
        "    --mount=type=bind,from=debian:13,target=/b true\n"
    )

    assert dockerfile.images("") == ("alpine:3", "debian:13")


def test_a_comment_between_continued_lines_does_not_end_the_instruction() -> None:
    dockerfile = parse(
        "FROM golang AS builder\nRUN apk add \\\n  # FROM nowhere AS ghost\n  gcc \\\n\n  musl-dev\nFROM scratch\n"
    )

    assert [stage.name for stage in dockerfile.stages] == ["builder", "1"]


def test_a_continued_line_that_starts_with_from_is_no_stage() -> None:
    dockerfile = parse("FROM debian\nRUN psql -c 'SELECT 1 \\\n FROM users' \\\n && true\n")

    assert dockerfile.all_images() == ("debian",)


def test_from_may_be_continued_itself() -> None:
    assert [(stage.name, stage.base) for stage in parse("FROM \\\n  golang:1.27 \\\n  AS builder\n").stages] == [
        ("builder", "golang:1.27")
    ]


def test_a_comment_that_ends_in_a_backslash_continues_nothing() -> None:
    assert bases("# see C:\\dir\\\nFROM golang\n") == ["golang"]


def test_blanks_after_the_backslash_still_continue_the_line() -> None:
    assert bases("FROM \\   \n golang\n") == ["golang"]


def test_windows_line_ends_are_line_ends() -> None:
    assert parse("ARG V=1\r\nFROM golang:$V AS builder\r\nFROM scratch\r\nCOPY --from=builder / /\r\n").images("") == (
        "golang:1",
    )


def test_a_byte_order_mark_is_no_part_of_the_first_instruction() -> None:
    assert bases("\ufeffFROM golang AS builder\n") == ["golang"]


@pytest.mark.parametrize(
    "opening",
    [
        "RUN <<EOF",
        "RUN <<-EOF",
        "RUN <<'EOF'",
        'RUN <<"EOF"',
        "RUN cat <<EOF > /etc/x",
        "COPY <<EOF /x",
        "ADD <<EOF /x",
    ],
)
def test_what_is_in_a_here_document_is_no_instruction(opening: str) -> None:
    dockerfile = parse(
        f"FROM debian\n{opening}\nFROM nowhere AS ghost\nCOPY --from=ghost / /\nEOF\nFROM scratch AS last\n"
    )

    assert dockerfile.names() == ("last",)
    assert dockerfile.all_images() == ("debian",)


def test_one_instruction_may_have_two_here_documents() -> None:
    dockerfile = parse("FROM debian\nCOPY <<a <<b /x/\nFROM one\na\nFROM two\nb\nFROM scratch AS last\n")

    assert dockerfile.all_images() == ("debian",)
    assert dockerfile.names() == ("last",)


def test_an_indented_word_ends_only_a_here_document_that_says_so() -> None:
    text = "FROM debian\nRUN {} sh\n\tEOF\nFROM nowhere\nEOF\nFROM scratch AS last\n"

    assert parse(text.format("<<EOF")).all_images() == ("debian",)
    assert parse(text.format("<<-EOF")).all_images() == ("debian", "nowhere")


@pytest.mark.parametrize(
    "line",
    ["RUN grep x <<<word", "RUN echo $((1<<20))", "RUN echo 'a<<b'", 'RUN echo "<<EOF"', "ENV A=<<EOF", "LABEL a=b<<c"],
)
def test_two_angle_brackets_that_open_no_here_document_swallow_nothing(line: str) -> None:
    assert parse(f"FROM debian AS first\n{line}\nFROM scratch AS last\n").names() == ("first", "last")


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("golang:$V", "golang:1.27"),
        ("golang:${V}", "golang:1.27"),
        ("golang:${V}-alpine", "golang:1.27-alpine"),
        ("golang:${V:-2}", "golang:1.27"),
        ("golang:${NONE:-2}", "golang:2"),
        ("golang:${NONE-2}", "golang:2"),
        ("${REGISTRY}golang:$V", "golang:1.27"),
        ("golang:${V:+yes}", "golang:yes"),
        ("${NONE:-debian}:${NONE:-13}", "debian:13"),
    ],
)
def test_the_base_takes_the_arguments_before_the_first_stage(base: str, expected: str) -> None:
    assert bases(f"ARG V=1.27\nARG REGISTRY=\nFROM {base}\n") == [expected]


@pytest.mark.parametrize("default", ["1.27", '"1.27"', "'1.27'"])
def test_a_default_may_be_quoted(default: str) -> None:
    assert bases(f"ARG V={default}\nFROM golang:$V\n") == ["golang:1.27"]


def test_a_default_may_use_the_arguments_before_it() -> None:
    assert bases("ARG V=1.27\nARG BASE=golang:${V}-alpine\nFROM $BASE\n") == ["golang:1.27-alpine"]


def test_a_given_argument_reaches_the_defaults_that_use_it() -> None:
    assert bases("ARG V=1.27\nARG BASE=golang:$V\nFROM $BASE\n", V="1.28") == ["golang:1.28"]


def test_a_given_argument_wins_over_the_default() -> None:
    assert bases("ARG V=1.27\nFROM golang:$V\n", V="1.28") == ["golang:1.28"]


def test_a_given_argument_that_is_not_declared_before_the_first_stage_does_not_count() -> None:
    assert bases("FROM golang:${V:-1}\nARG V=2\nFROM debian:${V:-3}\n", V="9") == ["golang:1", "debian:3"]


def test_several_arguments_on_one_line_are_all_declared() -> None:
    dockerfile = parse('FROM debian\nARG A B=1 C="two words" D=\n')

    assert dockerfile.declared("") == {"A", "B", "C", "D"}


def test_a_value_is_not_taken_for_a_name() -> None:
    assert parse("FROM debian\nARG URL=https://example.com/a?b=c\n").declared("") == {"URL"}


def test_the_arguments_of_a_stage_that_is_not_reached_do_not_count() -> None:
    dockerfile = parse(SAMPLE)

    assert dockerfile.declared("certificates") == {"GO_VERSION"}
    assert dockerfile.declared("production") == {"GO_VERSION", "VERSION", "TARGETOS", "TARGETARCH"}


@pytest.mark.parametrize(
    "platform", ["--platform=linux/amd64", "--platform=$BUILDPLATFORM", "--platform=${TARGETPLATFORM}"]
)
def test_the_platform_is_no_part_of_the_base(platform: str) -> None:
    assert bases(f"FROM {platform} golang:1.27 AS builder\n") == ["golang:1.27"]


def test_a_digest_stays_with_the_base() -> None:
    reference = f"registry.example.com:5000/base/go:1@sha256:{'a' * 64}"

    assert parse(f"FROM {reference}\n").all_images() == (reference,)


def test_a_stage_may_be_called_as_its_base_image() -> None:
    dockerfile = parse("FROM golang AS golang\nRUN go build -o /app\nFROM scratch\nCOPY --from=golang /app /app\n")

    assert dockerfile.images("") == ("golang",)


def test_a_base_names_an_image_when_the_stage_of_that_name_comes_later() -> None:
    dockerfile = parse("FROM debian AS first\nFROM scratch AS debian\nCOPY --from=first / /\n")

    assert dockerfile.images("debian") == ("debian",)


@pytest.mark.parametrize(
    "line",
    [
        "RUN tool --from=2024 --to=2025",
        "RUN mail --from=ops@example.com",
        "LABEL usage='copy --from=somewhere'",
        'CMD ["tool", "--from=2024"]',
        "COPY ./--from=x /x",
    ],
)
def test_only_the_flag_of_copy_names_a_source(line: str) -> None:
    assert parse(f"FROM debian\n{line}\n").all_images() == ("debian",)


def test_a_mount_in_the_words_of_a_command_names_no_source() -> None:
    assert parse("FROM debian\nRUN docker run --mount=type=bind,from=x y\n").all_images() == ("debian",)


def test_inherited_stages_may_form_a_chain() -> None:
    dockerfile = parse("FROM a AS one\nFROM one AS two\nFROM two AS three\nFROM three AS four\n")

    assert names(dockerfile, "four") == {"one", "two", "three", "four"}
    assert dockerfile.images("four") == ("a",)


def test_stages_that_copy_from_each_other_end_the_search() -> None:
    dockerfile = parse("FROM a AS one\nCOPY --from=two / /\nFROM b AS two\nCOPY --from=one / /\n")

    assert names(dockerfile, "one") == {"one", "two"}


def test_of_two_stages_with_one_name_the_later_counts() -> None:
    dockerfile = parse("FROM a AS same\nFROM b AS same\n")

    assert dockerfile.images("same") == ("b",)
