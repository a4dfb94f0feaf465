"""What runs, as data: containers of a service, contents of images, and what Slipway noted of them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import container

from tasks.plan.mounts import Content
from tasks.plan.observed import Observed, Ran, Stamp, State, state_from

words = st.text(max_size=8)
contents = st.builds(Content, words, words)
stamps = st.builds(Stamp, st.dictionaries(words, contents, max_size=3), st.booleans())
states = st.builds(
    State,
    st.dictionaries(words, stamps, max_size=3),
    st.dictionaries(words, st.builds(Ran, words, st.integers(0, 10_000)), max_size=3),
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


def test_notes_of_containers_that_are_gone_are_forgotten() -> None:
    old, fresh = Stamp({"/a": Content("1")}), Stamp(proven=False)
    state = State({"old": old}).stamped({"new": fresh})

    assert state.stamps == {"old": old, "new": fresh}
    assert state.kept({"new"}).stamps == {"new": fresh}


def test_the_containers_of_a_service_are_in_order_without_runs_by_hand() -> None:
    found = Observed(
        (container("shop-web-10"), container("shop-web-2", state="exited"), container("shop-db-1"),
         container("shop-web-1", oneoff=True))
    )  # fmt: skip

    assert [one.name for one in found.of("web")] == ["shop-web-2", "shop-web-10"]
    assert [one.name for one in found.running("web")] == ["shop-web-10"]


def test_the_content_of_a_container_is_that_of_the_image_that_compose_recorded() -> None:
    found = Observed(contents={"sha256:list": "c"})

    assert found.content(container(image_id="sha256:one", created_from="sha256:list")) == "c"
    assert found.content(container(image_id="sha256:list")) == "c"
    assert found.content(container(image_id="sha256:other")) == "sha256:other"
