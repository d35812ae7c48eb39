"""Tables as HTML: every word escaped, drawings as they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: markup of our own making and classes (n right-aligned, m muted, b bold, s small, on highlighted, wrap)."""

    markup: str
    classes: str = ""
    span: int = 1

    def html(self, tag: str) -> str:
        """Return the cell as an element."""
        names = f' class="{self.classes}"' if self.classes else ""
        wide = f' colspan="{self.span}"' if self.span > 1 else ""
        return f"<{tag}{names}{wide}>{self.markup}</{tag}>"


def word(text: object, classes: str = "", span: int = 1) -> Cell:
    """Return a cell of plain text."""
    return Cell(escape(str(text)), classes, span)


def grid(heads: Sequence[Cell], rows: Sequence[Sequence[Cell]], firsts: Sequence[int] = ()) -> str:
    """Return a table; ``firsts`` are the rows that begin a group.

    >>> grid([], [[word("<b>"), word(1, "n")]])
    '<table><tbody><tr><td>&lt;b&gt;</td><td class="n">1</td></tr></tbody></table>'
    """
    top = f"<thead><tr>{''.join(cell.html('th') for cell in heads)}</tr></thead>" if heads else ""
    begin = set(firsts)
    opens = ("<tr>", '<tr class="first">')
    body = (opens[place in begin] + "".join(cell.html("td") for cell in row) + "</tr>" for place, row in enumerate(rows))
    return f"<table>{top}<tbody>{''.join(body)}</tbody></table>"
