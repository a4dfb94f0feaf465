"""The file in which a proxy names the servers of a service."""

import pytest

from tasks.plan.errors import InputError
from tasks.plan.upstream import Aim, leads, pointed, proven, serving

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
    assert pointed(UPSTREAM, "web", Aim(["shop-web-3"])) == NAMED
    assert pointed(NAMED, "web", Aim(["shop-web-3"])) == NAMED
    assert pointed(NAMED, "web", Aim([])) == UPSTREAM
    two = pointed(NAMED, "web", Aim(["shop-web-4", "shop-web-5"]))
    assert serving(two, "web") == ("shop-web-4", "shop-web-5")
    assert "shop-web-3" not in two


def test_while_new_containers_are_watched_the_old_ones_are_the_backup() -> None:
    made = pointed(NAMED, "web", Aim(["shop-web-4"], backups=["shop-web-3"]))
    assert made == UPSTREAM.replace(
        "    server web:8000 resolve max_fails=0;\n",
        "    server shop-web-4:8000 resolve max_fails=0;\n"
        "    server shop-web-3:8000 resolve max_fails=0 down;\n"
        "    server shop-web-3:8000 resolve max_fails=0 backup;\n"
        "    server web:8000 resolve max_fails=0 backup down;\n",
    )
    assert serving(made, "web") == ("shop-web-4",)
    assert pointed(made, "web", Aim(["shop-web-4"])) == NAMED.replace("shop-web-3", "shop-web-4")


def test_what_is_being_watched_is_not_proven_yet() -> None:
    both = {"shop-web-1", "shop-web-2", "shop-web-3"}
    one = pointed(NAMED, "web", Aim(["shop-web-2"], backups=["shop-web-1"]))
    assert proven(one, "web", both, 1) == ("shop-web-1",)
    assert proven(one, "web", {"shop-web-2"}, 1) == ("shop-web-2",), "the old one has gone meanwhile"
    two = pointed(NAMED, "web", Aim(["shop-web-2", "shop-web-3"], backups=["shop-web-1"]))
    assert proven(two, "web", both, 2) == ("shop-web-2", "shop-web-1")
    assert proven(NAMED, "web", both, 1) == ("shop-web-3",)


def test_what_is_about_to_serve_is_named_before_it_is_led_to() -> None:
    made = pointed(NAMED, "web", Aim(["shop-web-3"], coming=["shop-web-4"]))
    line = "    server shop-web-3:8000 resolve max_fails=0;\n"
    assert made == NAMED.replace(line, f"{line}    server shop-web-4:8000 resolve max_fails=0 down;\n")
    assert serving(made, "web") == ("shop-web-3",)


def test_only_a_file_that_has_the_pattern_of_a_service_leads_to_it() -> None:
    assert leads(UPSTREAM, "web")
    assert not leads(UPSTREAM, "shop")


def test_a_file_on_one_line_is_understood() -> None:
    text = "upstream web { server web:80; }\n"
    made = pointed(text, "web", Aim(["a"]))
    assert made == "upstream web { server a:80;\n server web:80 backup;}\n"
    assert serving(made, "web") == ("a",)


def test_a_server_in_a_comment_is_none() -> None:
    text = "# a server web:1; of old\n" + UPSTREAM
    assert pointed(text, "web", Aim(["shop-web-3"])) == "# a server web:1; of old\n" + NAMED


def test_a_file_that_leads_elsewhere_is_refused() -> None:
    with pytest.raises(InputError, match="has no line `server web:PORT"):
        pointed("upstream web { server 10.0.0.1:80; }", "web", Aim(["a"]))
