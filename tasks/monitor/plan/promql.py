"""The grammar of PromQL, as far as it takes to find the series that an expression reads, and its faults.

https://prometheus.io/docs/prometheus/latest/querying/basics/
"""

import re
from collections.abc import Iterator

from ...model.lazy_pattern import lazy_pattern
from ...model.record import Record

_DURATION = r"(?:\d+(?:ms|[smhdwy]))+"
_NUMBER = r"0x[0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_TOKENS = lazy_pattern(
    rf"""(?P<space>\s+|\#[^\n]*)
    |(?P<duration>{_DURATION})(?![\w.])
    |(?P<number>{_NUMBER})(?![\w.])
    |(?P<name>[A-Za-z_][A-Za-z0-9_:]*)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<sign>=~|!~|!=|==|<=|>=|[-+*/%^=<>(){{}}\[\],:@])""",
    re.VERBOSE,
)
_BINARY = {"+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "atan2": 5, "^": 6,
           "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "and": 2, "unless": 2, "or": 1}  # fmt: skip


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_AGGREGATIONS = _words(
    "sum min max avg group stddev stdvar count count_values bottomk topk quantile limitk limit_ratio"
)
_FUNCTIONS = _words(
    "abs absent absent_over_time acos acosh asin asinh atan atanh avg_over_time ceil changes clamp clamp_max clamp_min"
    " cos cosh count_over_time day_of_month day_of_week day_of_year days_in_month deg delta deriv exp floor"
    " histogram_avg histogram_count histogram_fraction histogram_quantile histogram_stddev histogram_stdvar"
    " histogram_sum holt_winters hour idelta increase irate label_join label_replace last_over_time ln log10 log2"
    " mad_over_time max_over_time min_over_time minute month pi predict_linear present_over_time quantile_over_time rad"
    " rate resets round scalar sgn sin sinh sort sort_by_label sort_by_label_desc sort_desc sqrt stddev_over_time"
    " stdvar_over_time sum_over_time tan tanh time timestamp vector year"
)
_KEYWORDS = _words("and or unless bool on ignoring group_left group_right offset by without atan2")


class Matcher(Record):
    """A condition on a label: ``sign`` is =, !=, =~ or !~."""

    label: str
    sign: str
    value: str


class Selector(Record):
    """The series that an expression reads: a metric, "" for any, and conditions on labels."""

    metric: str
    matchers: tuple[Matcher, ...] = ()

    @property
    def job(self) -> str:
        """The job that the series must be of, "" for any."""
        return next((one.value for one in self.matchers if (one.label, one.sign) == ("job", "=")), "")

    @property
    def measured(self) -> str:
        """The selector of the metric, of the same job, whatever its other labels are: does anything measure it?"""
        return f'{self.metric}{{job="{self.job}"}}' if self.job else self.metric


class PromQLError(ValueError):
    """An expression that Prometheus would not accept."""


def selectors(expression: str) -> tuple[Selector, ...]:
    """Return the series that an expression reads, each once, in its order; raises PromQLError for a fault in it."""
    found: dict[Selector, None] = {}
    parser = _Parser(expression, found)
    parser.expression(0)
    parser.end()
    return tuple(found)


class _Parser:
    """Reads an expression from the left to the right; each method reads one part of the grammar."""

    def __init__(self, text: str, found: dict[Selector, None]) -> None:
        self._tokens = list(_tokens(text))
        self._at, self._found, self._text = 0, found, text

    @property
    def _next(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "the end")

    def _fault(self, expected: str) -> PromQLError:
        return PromQLError(f"expected {expected}, got {self._next[1]} in: {' '.join(self._text.split())}")

    def _take(self, *texts: str) -> str:
        """Return the next token when it is one of the texts, and go on; else "" and stay."""
        kind, text = self._next
        if kind != "text" and text in texts:
            self._at += 1
            return text
        return ""

    def _must(self, *texts: str) -> str:
        taken = self._take(*texts)
        if not taken:
            raise self._fault(" or ".join(texts))
        return taken

    def _kind(self, kind: str, expected: str) -> str:
        if self._next[0] != kind:
            raise self._fault(expected)
        self._at += 1
        return self._tokens[self._at - 1][1]

    def end(self) -> None:
        """Raise PromQLError when there is something left."""
        if self._next[0] != "end":
            raise self._fault("an operator")

    def expression(self, least: int) -> None:
        """Read operands and the operators between them that bind at least as strongly as ``least``."""
        if self._take("-", "+"):
            self.expression(_BINARY["^"])
        else:
            self._operand()
        while self._next[0] in ("name", "sign") and _BINARY.get(self._next[1], -1) >= max(least, 1):
            operator = self._must(self._next[1])
            self._modifiers(operator)
            self.expression(_BINARY[operator] + (operator != "^"))

    def _modifiers(self, operator: str) -> None:
        if self._take("bool") and operator not in _COMPARISONS:
            raise PromQLError(f"bool after {operator} in: {self._text}")
        if self._take("on", "ignoring"):
            self._labels()
            # Prometheus, too, reads a parenthesis after group_left as labels and not as the next operand.
            if self._take("group_left", "group_right") and self._next[1] == "(":
                self._labels()

    def _labels(self) -> None:
        self._must("(")
        while not self._take(")"):
            self._kind("name", "a label")
            if not self._take(","):
                self._must(")")
                return

    def _operand(self) -> None:
        kind, text = self._next
        if kind == "number" or kind == "text":
            self._at += 1
        elif self._take("("):
            self.expression(0)
            self._must(")")
            self._postfix()
        elif text == "{":
            self._selector("")
            self._postfix()
        elif kind == "name" and text.lower() in ("inf", "nan"):
            self._at += 1
        elif kind == "name" and text not in _KEYWORDS:
            self._at += 1
            self._named(text)
            self._postfix()
        else:
            raise self._fault("a metric, a function or a number")

    def _named(self, name: str) -> None:
        following = self._next[1] if self._next[0] in ("sign", "name") else ""
        if name in _AGGREGATIONS and following in ("(", "by", "without"):
            if self._take("by", "without"):
                self._labels()
            self._arguments()
            if self._take("by", "without"):
                self._labels()
        elif following == "(":
            if name not in _FUNCTIONS:
                raise PromQLError(f"no function {name} in: {self._text}")
            self._arguments()
        else:
            self._selector(name)

    def _arguments(self) -> None:
        self._must("(")
        if self._take(")"):
            return
        self.expression(0)
        while self._take(","):
            self.expression(0)
        self._must(")")

    def _selector(self, metric: str) -> None:
        matchers = []
        if self._take("{"):
            while not self._take("}"):
                label = self._kind("name", "a label")
                sign = self._must("=~", "!~", "!=", "=")
                matchers.append(Matcher(label, sign, self._string(sign)))
                if not self._take(","):
                    self._must("}")
                    break
        if not metric and not matchers:
            raise PromQLError(f"a selector of all series in: {self._text}")
        self._found[Selector(metric, tuple(matchers))] = None

    def _string(self, sign: str) -> str:
        raw = self._kind("text", "a text in quotes")
        value = raw[1:-1] if raw[0] == "`" else re.sub(r"\\(.)", r"\1", raw[1:-1])
        if sign in ("=~", "!~"):
            try:
                re.compile(value)
            except re.error as error:
                raise PromQLError(f"{raw} is not a regular expression: {error}") from None
        return value

    def _postfix(self) -> None:
        if self._take("["):
            self._kind("duration", "a duration such as 5m")
            if self._take(":") and self._next[0] == "duration":
                self._at += 1
            self._must("]")
        while taken := self._take("offset", "@"):
            if taken == "offset":
                self._take("-")
                self._kind("duration", "a duration such as 5m")
            elif not self._take("start", "end"):
                self._take("-")
                self._kind("number", "a time in seconds")
            else:
                self._must("(")
                self._must(")")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        match = _TOKENS.match(text, at)
        if match is None:
            raise PromQLError(f"unexpected {text[at : at + 10]!r} in: {' '.join(text.split())}")
        at = match.end()
        if match.lastgroup and match.lastgroup != "space":
            yield match.lastgroup, match[match.lastgroup]
