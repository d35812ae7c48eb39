"""Prices of devices, switches and cables from outside: checked."""

from pathlib import Path
from typing import Final

import polars as pl

_ACCEPTED: Final = "CSV with kind,price_usd,ports,length_m and if you like power_w, in UTF-8, plain or in gzip"
_KINDS: Final = ("device", "switch", "cable")
_DEAREST_USD: Final = 1e6
_MOST_PORTS: Final = 1_024
# No copper is longer: such lengths are centimetres.
_LONGEST_M: Final = 20.0
_MOST_W: Final = 10_000.0


def read(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Read a price table, a row a part: ``kind`` (device, switch, cable), ``ports``, ``length_m``, ``price_usd``, ``power_w``.

    Devices and switches have ``ports`` and may say what their controller draws, cables have ``length_m``; what does not belong to
    a kind is null. Sorted by kind, ports and length. The second value says what is worth knowing. ValueError, one line, names
    file, row, column and remedy of the first thing that is wrong.
    """
    from twin.serving import tabular

    text = tabular.read(path, _ACCEPTED)
    for name in ("kind", "price_usd", "ports", "length_m"):
        if name not in text.columns:
            raise ValueError(f"{path.name}: row 1: no column {name}; write it as {_ACCEPTED}")
    if text.is_empty():
        raise ValueError(f"{path.name}: no price below the header; add at least one device and one cable")
    kind = text["kind"].str.strip_chars().str.to_lowercase()
    tabular.refuse(path, "kind", text["kind"], ~kind.is_in(_KINDS), f"write one of {', '.join(_KINDS)}")
    frame = pl.DataFrame(
        {
            "kind": kind,
            "ports": _ports(path, text["ports"], kind != "cable"),
            "length_m": _numbers(path, text["length_m"], kind == "cable", _LONGEST_M, "metres"),
            "price_usd": _numbers(path, text["price_usd"], kind.is_not_null(), _DEAREST_USD, "dollars"),
            "power_w": _powers(path, text, kind != "cable"),
        }
    )
    _whole(path, frame)
    ordered = frame.sort(pl.col("kind").replace_strict({"device": 0, "switch": 1, "cable": 2}), "ports", "length_m")
    return ordered, _about(ordered, text)


def _belongs(path: Path, values: pl.Series, needed: pl.Series, of: str) -> pl.Series:
    """Return the values as text; refuses one that belongs to no row of its kind."""
    from twin.serving import tabular

    stripped = values.str.strip_chars().replace("", None)
    tabular.refuse(path, values.name, values, ~needed & stripped.is_not_null(), f"only {of} has one, leave it empty")
    return stripped


def _ports(path: Path, values: pl.Series, needed: pl.Series) -> pl.Series:
    from twin.serving import tabular

    text = _belongs(path, values, needed, "a device or a switch")
    found = text.str.to_integer(strict=False)
    bad = needed & ~(text.str.contains(r"^\d+$") & found.is_between(1, _MOST_PORTS)).fill_null(False)
    tabular.refuse(path, "ports", values, bad, f"write a whole number from 1 to {_MOST_PORTS:,}")
    return found.cast(pl.Int64)


def _numbers(path: Path, values: pl.Series, needed: pl.Series, highest: float, unit: str) -> pl.Series:
    from twin.serving import tabular

    found = _belongs(path, values, needed, "a cable").cast(pl.Float64, strict=False)
    bad = needed & ~found.is_between(0.0, highest, closed="right").fill_null(False)
    tabular.refuse(path, values.name, values, bad, f"write {unit} above 0, up to {highest:,.0f}")
    return found


def _powers(path: Path, text: pl.DataFrame, allowed: pl.Series) -> pl.Series:
    from twin.serving import tabular

    if "power_w" not in text.columns:
        return pl.Series("power_w", [None] * text.height, dtype=pl.Float64)
    stripped = _belongs(path, text["power_w"], allowed, "a device or a switch")
    found = stripped.cast(pl.Float64, strict=False)
    bad = stripped.is_not_null() & ~found.is_between(0.0, _MOST_W).fill_null(False)
    tabular.refuse(path, "power_w", text["power_w"], bad, f"write watts from 0 to {_MOST_W:,.0f} or leave it empty")
    return found


def _whole(path: Path, frame: pl.DataFrame) -> None:
    """Refuse a part that is priced twice, and a table that can price no pod."""
    seen: dict[tuple[str, float], int] = {}
    for row, part in enumerate(frame.iter_rows(named=True), start=2):
        size = part["length_m"] if part["kind"] == "cable" else part["ports"]
        if (first := seen.setdefault((part["kind"], size), row)) != row:
            column = "length_m" if part["kind"] == "cable" else "ports"
            raise ValueError(f"{path.name}: row {row}, column {column}: the same {part['kind']} as row {first}; keep one of them")
    for kind in ("device", "cable"):
        if kind not in frame["kind"]:
            raise ValueError(f"{path.name}: column kind: no {kind} has a price; add at least one device and one cable")


def _about(frame: pl.DataFrame, text: pl.DataFrame) -> tuple[str, ...]:
    ports = {kind: frame.filter(pl.col("kind") == kind)["ports"].to_list() for kind in ("device", "switch")}
    longest_m = max(frame["length_m"].drop_nulls().to_list())
    words = {"device": "devices", "switch": "switches"}
    said = [f"{words[kind]} of {', '.join(map(str, counts))} ports" for kind, counts in ports.items() if counts]
    notes = [f"{'; '.join(said)}; cables up to {longest_m:g} m"]
    unused = [name for name in text.columns if name not in frame.columns]
    notes += [f"not used: {', '.join(unused)[:200]}"] if unused else []
    return tuple(notes)
