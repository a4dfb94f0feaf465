"""How lines are drawn: characters that the terminal has, colours, and texts cut to a number of cells."""

from dataclasses import dataclass

_ASCII = str.maketrans({"·": "-", "→": "->", "…": "...", "✓": "+", "✗": "x"})
_COLOURS = {"green": "32", "red": "31", "yellow": "33", "cyan": "36", "dim": "2", "bold": "1"}
_NARROW = "→…✓✗"  # of the characters that stories are made of
_SPINNER, _ASCII_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"


@dataclass(frozen=True)
class Look:
    """What a terminal can show: characters beyond ASCII, and colours."""

    unicode: bool = True
    colour: bool = False

    def text(self, text: str) -> str:
        """Return a text in characters that the terminal has; others are spelled ``\\u20ac``."""
        if self.unicode or text.isascii():
            return text
        return text.translate(_ASCII).encode("ascii", "backslashreplace").decode()

    def paint(self, text: str, colour: str) -> str:
        """Return a text in a colour, where there are colours."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self.colour and colour and text else text

    def spinner(self, tick: int) -> str:
        """Return the sign of a step that runs; it changes with ``tick``."""
        signs = _SPINNER if self.unicode else _ASCII_SPINNER
        return signs[tick % len(signs)]


def cells(text: str) -> int:
    """Return how many cells of a terminal a text takes: two for each wide character (UAX 11), none for a mark."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if character < "\u0300" or character in _NARROW:
        return 1
    import unicodedata  # not at the top: most texts have no such characters

    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fit(text: str, width: int, look: Look) -> str:
    """Return a text in at most ``width`` cells; a longer one ends in an ellipsis. Line ends and tabs become blanks."""
    text = look.text(" ".join(text.split()) if not text.isprintable() else text)
    if cells(text) <= width:
        return text
    end = "…" if look.unicode else "..."
    room = width - cells(end)
    if room <= 0:
        return end[:width]
    if text.isascii():
        return text[:room] + end
    taken, used = "", 0
    for character in text:
        used += _cells(character)
        if used > room:
            break
        taken += character
    return taken + end


def pad(text: str, width: int) -> str:
    """Return a text filled with blanks to ``width`` cells."""
    return text + " " * (width - cells(text))
