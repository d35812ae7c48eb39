"""The browser's side of a component, from the files beside it."""

from pathlib import Path


def read(name: str) -> str:
    """Return a style sheet, a script or a piece of HTML of this folder."""
    return (Path(__file__).resolve().parent / name).read_text(encoding="utf-8")
