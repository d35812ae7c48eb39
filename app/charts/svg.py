"""A small SVG writer: marks and words, every word escaped."""

from collections.abc import Iterable
from html import escape

from app.charts.tokens import FAMILY, LABEL_PX


def number(value: float) -> str:
    """Return a coordinate with at most two decimals and no trailing zeros.

    >>> number(3.0), number(2.349)
    ('3', '2.35')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")


def text(x: float, y: float, words: str, fill: str, *, anchor: str = "start", weight: int = 400, size: int = LABEL_PX) -> str:
    """Return words on a baseline; ``anchor`` is start, middle or end."""
    heavy = f' font-weight="{weight}"' if weight != 400 else ""
    place = f' text-anchor="{anchor}"' if anchor != "start" else ""
    tall = f' font-size="{size}"' if size != LABEL_PX else ""
    return f'<text x="{number(x)}" y="{number(y)}" fill="{fill}"{place}{heavy}{tall}>{escape(words)}</text>'


def rect(x: float, y: float, width: float, height: float, fill: str, *, stroke: str = "", radius: float = 0) -> str:
    """Return a rectangle; widths below zero are drawn as nothing."""
    outline = f' stroke="{stroke}"' if stroke else ""
    corner = f' rx="{number(radius)}"' if radius else ""
    size = f'width="{number(max(width, 0.0))}" height="{number(max(height, 0.0))}"'
    return f'<rect x="{number(x)}" y="{number(y)}" {size} fill="{fill}"{corner}{outline}/>'


def line(x1: float, y1: float, x2: float, y2: float, stroke: str, *, width: float = 1.0, dash: str = "") -> str:
    """Return a straight line; ``dash`` as in stroke-dasharray."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    ends = f'x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}"'
    return f'<line {ends} stroke="{stroke}" stroke-width="{number(width)}"{dashed}/>'


def circle(x: float, y: float, radius: float, fill: str, *, stroke: str = "none", width: float = 1.5) -> str:
    """Return a disc, hollow when ``fill`` is the surface."""
    return (
        f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(radius)}" fill="{fill}" stroke="{stroke}" stroke-width="{number(width)}"/>'
    )


def path(commands: str, *, fill: str = "none", stroke: str = "none", width: float = 1.0, dash: str = "") -> str:
    """Return a path from its commands."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path d="{commands}" fill="{fill}" stroke="{stroke}" stroke-width="{number(width)}"{dashed}/>'


def marked(drawn: str, box: tuple[float, float, float, float], pick: str, says: str, *, faint: bool = False) -> str:
    """Return a drawing that can be pointed at and picked within a box (x, y, width, height), see ``app.widgets.talk``."""
    x, y, width, height = box
    weak = ' opacity="0.72"' if faint else ""
    return (
        f'<g data-pick="{escape(pick, quote=True)}" data-says="{escape(says, quote=True)}"{weak}>'
        f"{rect(x, y, width, height, 'transparent')}{drawn}</g>"
    )


def document(width: float, height: float, parts: Iterable[str], title: str) -> str:
    """Return a whole SVG that scales to its container; ``title`` is what a screen reader says."""
    look = f"max-width:{number(width)}px;display:block;font-variant-numeric:tabular-nums"
    box = f'viewBox="0 0 {number(width)} {number(height)}" width="100%" role="img"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="{escape(FAMILY)}" font-size="{LABEL_PX}" style="{look}">'
    return f"{head}<title>{escape(title)}</title>{''.join(parts)}</svg>"
