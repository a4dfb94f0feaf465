"""Plain data: what a record has in common with a frozen dataclass."""

import ast
from dataclasses import asdict, dataclass, field, fields, replace

import pytest
from source import ROOT

from tasks.model.engine.facts import Volume
from tasks.model.record import Record
from tests.loads import NOTHING_TO_DO, STATUS


class Point(Record):
    """A point."""

    x: int
    labels: dict[str, str] = field(default_factory=dict)
    seen: int = field(default=0, compare=False)


class Other(Record):
    """Another class with the same fields."""

    x: int
    labels: dict[str, str] = field(default_factory=dict)


class Single(Record):
    """A record of one field."""

    x: tuple[int, ...] = ()


class More(Single):
    """A record with what another one has, and more."""

    y: int = 1


@dataclass(frozen=True)
class Plain:
    """The same as a frozen dataclass."""

    x: tuple[int, ...] = ()


def test_records_are_equal_when_class_and_compared_fields_are() -> None:
    assert Point(1, {"a": "b"}, seen=1) == Point(1, {"a": "b"}, seen=2)
    assert Point(1) != Point(2)
    assert Point(1) != Other(1)
    assert Single((1,)) != (1,)


def test_a_record_is_hashed_by_its_fields_and_printed_with_them() -> None:
    assert len({Single((1,)), Single((1,)), Single((2,))}) == 2
    assert repr(Single((1,))) == repr(Plain((1,))).replace("Plain", "Single")
    with pytest.raises(TypeError):
        hash(Point(1))  # a dictionary is among its fields


def test_the_functions_for_dataclasses_work_on_records() -> None:
    assert replace(Point(1), x=2) == Point(2)
    assert asdict(Point(1, {"a": "b"})) == {"x": 1, "labels": {"a": "b"}, "seen": 0}
    assert [item.name for item in fields(Volume)][:1] == ["name"]
    with pytest.raises(TypeError, match="nothing"):
        Point(1, nothing=2)  # type: ignore[call-arg]


def test_a_record_has_the_fields_of_its_base_too_whichever_was_made_first() -> None:
    assert Single((1,)).x == (1,)
    assert More((1,), 2) == More(x=(1,), y=2)
    assert (More().x, More().y) == ((), 1)
    assert Point(1).labels is not Point(1).labels
    with pytest.raises(TypeError, match="x"):
        Point()  # type: ignore[call-arg]


def test_what_each_look_at_an_engine_loads_are_records() -> None:
    def generated(name: str) -> list[str]:
        path = ROOT.joinpath(*name.split(".")).with_suffix(".py")
        classes = ast.walk(ast.parse(path.read_text("utf-8"))) if path.is_file() else ()
        return [
            node.name
            for node in classes
            if isinstance(node, ast.ClassDef)
            and any("frozen=True" in ast.unparse(decorator) for decorator in node.decorator_list)
        ]

    assert {name: found for name in STATUS | NOTHING_TO_DO if (found := generated(name))} == {}
