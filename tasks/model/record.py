"""The base of plain data: a frozen dataclass that costs a start a quarter of what ``dataclass(frozen=True)`` does."""

import operator
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar, dataclass_transform


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Record:
    """Plain data: its subclasses are dataclasses, equal when their fields are, hashable, and printed field by field.

    ``dataclass`` compiles six methods for each frozen class when it is loaded; here it compiles ``__init__`` only. That
    nobody assigns to a field of a record is held by the type checker. ``dataclasses.replace``, ``fields`` and
    ``asdict`` work as ever.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    _values: ClassVar["operator.attrgetter[Any]"]  # of the fields that count for equality

    def __init_subclass__(cls) -> None:
        dataclass(repr=False, eq=False)(cls)
        cls._values = operator.attrgetter(*(item.name for item in fields(cls) if item.compare))

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return bool(self._values(self) == self._values(other))

    def __hash__(self) -> int:
        return hash(self._values(self))

    def __repr__(self) -> str:
        shown = (f"{item.name}={getattr(self, item.name)!r}" for item in fields(self) if item.repr)
        return f"{self.__class__.__qualname__}({', '.join(shown)})"
