"""Tables of the pages in HTML that tasks write."""

from collections.abc import Iterable, Sequence
from html import escape


def table(caption: str, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a header that ends in ``#`` is of a column of numbers. The cells are HTML that is escaped."""
    right = [' class="n"' if header.endswith("#") else "" for header in headers]
    head = "".join(f'<th scope="col"{kind}>{escape(header.rstrip("#"))}</th>'
                   for header, kind in zip(headers, right, strict=True))  # fmt: skip
    body = "".join(
        f"<tr>{''.join(f'<td{kind}>{cell}</td>' for cell, kind in zip(row, right, strict=True))}</tr>" for row in rows
    )
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{escape(caption)}">'
        f"<table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )
