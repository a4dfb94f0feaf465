"""The masked value type: whatever prints it, logs it or serialises it gets ``***``."""

MASK = "***"


class Secret:
    """A value that is never shown.

    ``str()``, ``repr()`` and ``format()`` give ``***``; only :meth:`reveal` gives the value, and the
    one caller that needs it is the runner, when it fills the environment of a process.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is not serialised")


def reveal(value: "str | Secret") -> str:
    """Return the plain text of a value that may be a :class:`Secret`."""
    return value.reveal() if isinstance(value, Secret) else value
