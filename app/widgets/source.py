"""The browser's side of a component, from the files beside it.

Components take their data as a list of one: Streamlit searches the values of a mapping for data frames, which costs the import of pandas.
"""

from pathlib import Path


def read(name: str) -> str:
    """Return a style sheet, a script or a piece of HTML of this folder."""
    return (Path(__file__).resolve().parent / name).read_text(encoding="utf-8")
