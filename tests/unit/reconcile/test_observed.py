"""What runs, as data: containers of a service, contents of images, and what Slipway noted of them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import container

from tasks.reconcile.plan.mounts import Content
from tasks.reconcile.plan.observed import Observed, Ran, Stamp, State, state_from

words = st.text(max_size=8)
contents = st.builds(Content, words, words)
stamps = st.builds(Stamp, st.dictionaries(words, contents, max_size=3), st.booleans())
states = st.builds(
    State,
    st.dictionaries(words, stamps, max_size=3),
    st.dictionaries(words, st.builds(Ran, st.frozensets(words, max_size=3), st.integers(0, 10_000)), max_size=3),
    st.dictionaries(words, st.floats(0, 1e6), max_size=3),
    st.booleans(),
)


@given(states)
def test_a_state_comes_back_out_of_its_document(state: State) -> None:
    assert state_from(json.loads(json.dumps(state.document()))) == state


@pytest.mark.parametrize(
    "document",
    [None, [], "", {}, {"stamps": {}, "jobs": {}, "seconds": {}}, {"stamps": 1, "jobs": {}, "seconds": {},
     "unrecorded": False}, {"stamps": {"a": {"proven": True}}, "jobs": {}, "seconds": {}, "unrecorded": False},
     {"stamps": {}, "jobs": {"a": ["x"]}, "seconds": {}, "unrecorded": False},
     {"stamps": {}, "jobs": {}, "seconds": {"a": "long"}, "unrecorded": False}],
)  # fmt: skip
def test_a_document_that_is_not_understood_is_an_empty_state(document: Any) -> None:
    assert state_from(document) == State()


def test_a_state_of_a_later_version_is_read_without_what_only_that_knows() -> None:
    stamps, ran = {"c": Stamp({"/a": Content("1", "2")}, proven=False)}, Ran(frozenset("xy"), 3, {"001_a": "d"})
    state = State(stamps, {"job": ran}, {"web": 1.5}, True)
    said = state.document()
    said["stamps"]["c"]["release"] = 7
    said["stamps"]["c"]["references"]["/a"].append("more")
    said["jobs"]["job"].append({"took": 1})

    assert state_from(json.loads(json.dumps({**said, "leases": []}))) == state


def test_a_run_that_an_earlier_version_noted_has_one_identity() -> None:
    document = {"stamps": {}, "jobs": {"job": ["x", 3]}, "seconds": {}, "unrecorded": False}
    assert state_from(document).jobs == {"job": Ran(frozenset({"x"}), 3)}


def test_stamps_of_removed_containers_are_dropped() -> None:
    old, fresh = Stamp({"/a": Content("1")}), Stamp(proven=False)
    state = State({"old": old}).stamped({"new": fresh})

    assert state.stamps == {"old": old, "new": fresh}
    assert state.kept({"new"}).stamps == {"new": fresh}


def test_the_containers_of_a_service_are_in_order_without_runs_by_hand() -> None:
    observed = Observed(
        (container("shop-web-10"), container("shop-web-2", state="exited"), container("shop-db-1"),
         container("shop-web-1", oneoff=True))
    )  # fmt: skip

    assert [container.name for container in observed.of("web")] == ["shop-web-2", "shop-web-10"]
    assert [container.name for container in observed.running("web")] == ["shop-web-10"]


def test_the_content_of_a_container_is_that_of_the_image_that_compose_recorded() -> None:
    observed = Observed(contents={"sha256:list": "c"})

    assert observed.content(container(image_id="sha256:one", created_from="sha256:list")) == "c"
    assert observed.content(container(image_id="sha256:list")) == "c"
    assert observed.content(container(image_id="sha256:other")) == "sha256:other"
