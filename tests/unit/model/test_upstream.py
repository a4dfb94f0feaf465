"""The upstream file in which a proxy names the servers of a service."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.model.errors import InputError
from tasks.model.stack.upstream import (
    ProxyTarget,
    canary_containers,
    has_pattern,
    retarget,
    serving_containers,
    watched_containers,
)

UPSTREAM = """# kept
upstream web {
    zone web 64k;
    server web:8000 resolve max_fails=0;
    keepalive 32;
}
"""
NAMED = UPSTREAM.replace(
    "    server web:8000 resolve max_fails=0;\n",
    "    server shop-web-3:8000 resolve max_fails=0;\n    server web:8000 resolve max_fails=0 backup;\n",
)


def test_the_file_leads_to_containers_by_the_pattern_of_the_service() -> None:
    assert retarget(UPSTREAM, "web", ProxyTarget(["shop-web-3"])) == NAMED
    assert retarget(NAMED, "web", ProxyTarget(["shop-web-3"])) == NAMED
    assert retarget(NAMED, "web", ProxyTarget([])) == UPSTREAM
    two = retarget(NAMED, "web", ProxyTarget(["shop-web-4", "shop-web-5"]))
    assert serving_containers(two, "web") == ("shop-web-4", "shop-web-5")
    assert "shop-web-3" not in two


def test_while_new_containers_are_watched_the_old_ones_are_the_backup() -> None:
    made = retarget(NAMED, "web", ProxyTarget(["shop-web-4"], backups=["shop-web-3"]))
    assert made == UPSTREAM.replace(
        "    server web:8000 resolve max_fails=0;\n",
        "    server shop-web-4:8000 resolve max_fails=0;\n"
        "    server shop-web-3:8000 resolve max_fails=0 down;\n"
        "    server shop-web-3:8000 resolve max_fails=0 backup;\n"
        "    server web:8000 resolve max_fails=0 backup down;\n",
    )
    assert serving_containers(made, "web") == ("shop-web-4",)
    assert retarget(made, "web", ProxyTarget(["shop-web-4"])) == NAMED.replace("shop-web-3", "shop-web-4")


def test_containers_that_are_being_watched_are_not_proven() -> None:
    both = {"shop-web-1", "shop-web-2", "shop-web-3"}
    first = retarget(NAMED, "web", ProxyTarget(["shop-web-2"], backups=["shop-web-1"]))
    assert watched_containers(first, "web", both, 1) == ("shop-web-1",)
    assert watched_containers(first, "web", {"shop-web-2"}, 1) == ("shop-web-2",), "the old one has gone meanwhile"
    second = retarget(NAMED, "web", ProxyTarget(["shop-web-2", "shop-web-3"], backups=["shop-web-1"]))
    assert watched_containers(second, "web", both, 2) == ("shop-web-2", "shop-web-1")
    assert watched_containers(NAMED, "web", both, 1) == ("shop-web-3",)


def test_containers_about_to_serve_are_named_as_down() -> None:
    made = retarget(NAMED, "web", ProxyTarget(["shop-web-3"], coming=["shop-web-4"]))
    line = "    server shop-web-3:8000 resolve max_fails=0;\n"
    assert made == NAMED.replace(line, f"{line}    server shop-web-4:8000 resolve max_fails=0 down;\n")
    assert serving_containers(made, "web") == ("shop-web-3",)


def test_a_canary_gets_its_share_by_weights_and_serves_not_for_good_yet() -> None:
    aim = ProxyTarget(["shop-web-3"], canaries=["shop-web-4"], share=5)
    made = retarget(NAMED, "web", aim)
    assert made == UPSTREAM.replace(
        "    server web:8000 resolve max_fails=0;\n",
        "    server shop-web-3:8000 resolve max_fails=0 weight=19;\n"
        "    server shop-web-4:8000 resolve max_fails=0 weight=1;  # canary\n"
        "    server web:8000 resolve max_fails=0 backup;\n",
    )
    assert serving_containers(made, "web") == ("shop-web-3",)
    assert canary_containers(made) == ("shop-web-4",)
    assert watched_containers(made, "web", {"shop-web-3", "shop-web-4"}, 1) == ("shop-web-3",)
    assert retarget(made, "web", aim) == made
    assert retarget(made, "web", ProxyTarget(["shop-web-3"])) == NAMED, "nothing is left of it"
    own = retarget(NAMED.replace("max_fails=0", "max_fails=0 weight=7"), "web", aim)
    assert "weight=7" not in own.replace("weight=7 backup", ""), "but for the pattern"
    assert "weight=7;" in retarget(own, "web", ProxyTarget(["shop-web-3"])), "the own weight comes back"


def test_only_a_file_that_has_the_pattern_of_a_service_leads_to_it() -> None:
    assert has_pattern(UPSTREAM, "web")
    assert not has_pattern(UPSTREAM, "shop")


def test_a_file_on_one_line_is_understood() -> None:
    text = "upstream web { server web:80; }\n"
    made = retarget(text, "web", ProxyTarget(["a"]))
    assert made == "upstream web { server a:80 max_fails=0;\n server web:80 max_fails=0 backup; }\n"
    assert serving_containers(made, "web") == ("a",)
    several = "upstream web { zone web 64k; server old:80; server web:80; } # server web:1;\n"
    made = retarget(several, "web", ProxyTarget(["a"]))
    assert made == (
        "upstream web { zone web 64k; server a:80 max_fails=0;\n server web:80 max_fails=0 backup; } # server web:1;\n"
    )


def test_a_server_in_a_comment_is_none() -> None:
    text = "# a server web:1; of old\n" + UPSTREAM
    assert retarget(text, "web", ProxyTarget(["shop-web-3"])) == "# a server web:1; of old\n" + NAMED


def test_a_file_that_leads_elsewhere_is_refused() -> None:
    with pytest.raises(InputError, match="has no line `server web:PORT"):
        retarget("upstream web { server 10.0.0.1:80; }", "web", ProxyTarget(["a"]))


def test_nginx_asks_a_server_again_that_did_not_answer_once() -> None:
    # Next to a backup it would leave it alone for 10 s, and lose every request where the backup does not answer.
    plain = "upstream web {\n    server web:80;\n}\n"
    led = retarget(plain, "web", ProxyTarget(["a"]))
    assert led == "upstream web {\n    server a:80 max_fails=0;\n    server web:80 max_fails=0 backup;\n}\n"
    assert retarget(led, "web", ProxyTarget(["a"])) == led
    own = retarget(plain.replace("web:80", "web:80 max_fails=2 fail_timeout=1s"), "web", ProxyTarget(["a"]))
    assert "server a:80 max_fails=2 fail_timeout=1s;" in own, "what the line says stays"
    assert retarget("server web:80;\n", "web", ProxyTarget(["a"])) == "server a:80;\nserver web:80 backup;\n"


_NAMES = st.sampled_from(("shop-web-1", "shop-web-2", "shop-web-3"))
_AIMS = st.builds(
    ProxyTarget, *(st.lists(_NAMES, max_size=2, unique=True).map(tuple) for _ in ("containers", "backups", "coming"))
) | st.builds(ProxyTarget, st.just(("shop-web-1", "shop-web-2")), canaries=st.just(("shop-web-3",)), share=st.just(20))
# Blanks, newlines and comments wherever a file may have them, other servers before and after, several on one line.
_GAPS = st.sampled_from(("", " ", "    ", "\n", "\n    ", "\t", " # server web:9;\n", "# {server old:80;}\n"))
_DIRECTIVES = st.sampled_from(("zone web 64k;", "server old:80;", "server 10.0.0.1:80 down;", "keepalive 32;"))
_PARTS = st.lists(st.tuples(_GAPS, _DIRECTIVES).map("".join), max_size=3).map("".join)
_PATTERNS = st.sampled_from(("server web:80;", "server web:80 resolve max_fails=2 backup;", "server web;"))
_FILES = st.builds(
    lambda before, gap, pattern, after, end, braces: (
        f"upstream web {{{before}{gap}{pattern}{after}{end}}}\n" if braces else f"{before}{gap}{pattern}{after}{end}"
    ),
    _PARTS, _GAPS, _PATTERNS, _PARTS, _GAPS, st.booleans(),
)  # fmt: skip


@given(_FILES, st.lists(_AIMS, min_size=1, max_size=3))
def test_what_leads_somewhere_already_is_left_as_it_is(text: str, aims: list[ProxyTarget]) -> None:
    for aim in aims:
        text = retarget(text, "web", aim)
        assert retarget(text, "web", aim) == text
        assert serving_containers(text, "web") == aim.containers
        assert canary_containers(text) == aim.canaries
