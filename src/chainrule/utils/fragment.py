"""HTML for notebooks: tables and paragraphs with the same content as the text.

All text is escaped. Colours and fonts are those of the notebook, light or dark.
"""

from collections.abc import Sequence
from html import escape

_CELL = "text-align:left; padding:0.1em 1.2em 0.1em 0"


def of_parts(*parts: str) -> str:
    """Return several pieces of HTML as one element."""
    return f"<div>{''.join(parts)}</div>"


def paragraph(text: str) -> str:
    """Return a sentence or several as a paragraph.

    >>> paragraph("a < b")
    '<p>a &lt; b</p>'
    """
    return f"<p>{escape(text)}</p>"


def equation(line: str) -> str:
    """Return a line of mathematics as a paragraph, indented if the line is."""
    indent = "2em" if line.startswith(" ") else "0"
    return f'<p style="margin-left:{indent}; font-size:1.15em">{escape(line.strip())}</p>'


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; arguments are those of :func:`chainrule.explain.text.table`."""
    head = "".join(f'<th scope="col" style="{_CELL}">{escape(cell)}</th>' for cell in header)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{escape(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
