"""The base of plain data: a frozen dataclass that costs a start a tenth of what ``dataclass(frozen=True)`` does."""

import operator
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields, make_dataclass
from typing import Any, ClassVar, dataclass_transform

_NAMED = {"__doc__": "Never seen; without it dataclass would write the signature."}


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Record:
    """Plain data: its subclasses are dataclasses, equal when their fields are, hashable, and printed field by field.

    ``dataclass`` compiles six methods for each frozen class when it is loaded; here ``__init__`` alone is compiled, and
    only when the first record of a class is made: a task makes none of most classes that it loads. That nobody assigns
    to a field of a record is held by the type checker. ``dataclasses.replace``, ``fields`` and ``asdict`` work as ever.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    _values: ClassVar["operator.attrgetter[Any]"]  # of the fields that count for equality

    def __init_subclass__(cls) -> None:
        dataclass(init=False, repr=False, eq=False)(cls)
        if "__init__" not in vars(cls):
            cls.__init__ = Record.__init__  # type: ignore[method-assign]  # not that of a base with fewer fields
        cls._values = operator.attrgetter(*(item.name for item in fields(cls) if item.compare))

    def __init__(self, *values: Any, **named: Any) -> None:
        cls = self.__class__
        compiled = _initializer(fields(cls))
        cls.__init__ = compiled  # type: ignore[method-assign]
        compiled(self, *values, **named)

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return bool(self._values(self) == self._values(other))

    def __hash__(self) -> int:
        return hash(self._values(self))

    def __repr__(self) -> str:
        shown = (f"{item.name}={getattr(self, item.name)!r}" for item in fields(self) if item.repr)
        return f"{self.__class__.__qualname__}({', '.join(shown)})"


def _initializer(items: tuple[Field[Any], ...]) -> Callable[..., None]:
    """Return the ``__init__`` that ``dataclass`` compiles for a class with these fields."""
    same = [(item.name, item.type, _like(item)) for item in items]
    made: Callable[..., None] = vars(make_dataclass("Record", same, repr=False, eq=False, namespace=_NAMED))["__init__"]
    return made


def _like(item: Field[Any]) -> Any:
    if item.default_factory is not MISSING:
        return field(default_factory=item.default_factory)
    return field(default=item.default)
