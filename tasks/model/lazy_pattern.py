"""Regular expressions that are compiled when they are first used."""

import re
from typing import Any, AnyStr, cast


class _LazyPattern:
    def __init__(self, text: str | bytes, flags: int) -> None:
        self._text, self._flags = text, flags

    def __getattr__(self, name: str) -> Any:
        vars(self)[name] = value = getattr(re.compile(self._text, self._flags), name)
        return value


def lazy_pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what ``re.compile`` does, compiled when its first method is called.

    A module's patterns are compiled at its start otherwise, which took a tenth of a task's Python, and a task uses few
    of them. A wrong expression raises ``re.error`` at its first use.
    """
    return cast("re.Pattern[AnyStr]", _LazyPattern(text, flags))
