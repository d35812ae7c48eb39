"""A site's inventory as CSV, one machine a line, becomes a fleet file."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from twin.fleet_file import HOST_MODEL, problem
from twin.fleet_spec import FleetSpec
from twin.sources import calibration

REQUIRED: Final = ("server_id", "rack_id", "row_id", "position", "slot", "model", "aisle_id", "row_power_budget_w", "air_handlers")
OPTIONAL: Final = ("kind", "cooling", "pdu_ids", "ups_ids", "site_power_budget_w")
_ACCEPTED: Final = f"CSV with {','.join(REQUIRED)} and, if you like, {','.join(OPTIONAL)}; or as TOML"
_ID: Final = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
_LINES: Final = 100_000
_PARTS: Final = re.compile(r"(\d+)")
Record = dict[str, Any]


def read(path: Path, models: Mapping[str, Any] | None = None) -> tuple[FleetSpec, tuple[str, ...]]:
    """Read an inventory; returns the fleet and what is worth knowing about it.

    A line is one server of eight GPUs or one CPU host (``kind`` gpu or host, gpu where it is left out). ``position`` is the
    rack's place in its row, from the air handlers on; gaps are empty places. Rows, racks and machines are put in natural order
    (row-2 before row-10), whatever the order of the lines. ``pdu_ids`` names one or two feeds of the row, ``ups_ids`` the units
    that feed those, apart by ``;``; ratings follow from the rows' budgets. ``models`` are server models of the site's own, as a
    fleet file's tables ``[model.NAME]`` give them. ValueError, one line, names file, line and remedy.
    """
    from twin.serving import tabular

    text = tabular.read(path, _ACCEPTED)
    lacking = [name for name in REQUIRED if name not in text.columns]
    unknown = [name for name in text.columns if name not in (*REQUIRED, *OPTIONAL)]
    if lacking or unknown:
        what = f"no column {lacking[0]}" if lacking else f"the column {unknown[0][:40]!r} is unknown"
        raise ValueError(f"{path.name}: row 1: {what}; write it as {_ACCEPTED}")
    if not 0 < text.height <= _LINES:
        raise ValueError(f"{path.name}: {text.height:,} machines below the header; write 1 to {_LINES:,}")
    known = (*calibration("hardware")["server"], *(models or {}))
    records = [_record(f"{path.name}: row {number}", row, known) for number, row in enumerate(text.iter_rows(named=True), start=2)]
    _consistent(path.name, records)
    notes = _count_from_zero(records)
    try:
        spec = FleetSpec.model_validate(_spec(records, notes) | {"model": models or {}})
    except ValidationError as error:
        raise ValueError(f"{path.name}: {problem(error)}") from None
    return spec, tuple(notes)


def _record(place: str, row: dict[str, str | None], models: tuple[str, ...]) -> Record:
    """Return one line with every value checked for itself."""
    given = {name: (value or "").strip() for name, value in row.items()}
    found: Record = {"place": place}
    for name in ("server_id", "rack_id", "row_id", "aisle_id"):
        if not _ID.match(given[name]):
            raise ValueError(f"{place}, column {name}: {given[name][:40]!r} is not an id; use 1 to 64 letters, digits, '-', '_' and '.'")
        found[name] = given[name]
    whole: tuple[tuple[str, int, int], ...] = (("position", 0, 10_000), ("slot", 0, 1000), ("air_handlers", 1, 64))
    found |= {name: int(_number(place, name, given[name], low, high, whole=True)) for name, low, high in whole}
    found["row_power_budget_w"] = _number(place, "row_power_budget_w", given["row_power_budget_w"], 1.0, 1e9)
    site = given.get("site_power_budget_w", "")
    found["site_power_budget_w"] = _number(place, "site_power_budget_w", site, 1.0, 1e11) if site else None
    found["kind"] = _one_of(place, "kind", given.get("kind") or "gpu", ("gpu", "host"))
    found["cooling"] = _one_of(place, "cooling", given.get("cooling") or "air", ("air", "liquid"))
    known = models if found["kind"] == "gpu" else (HOST_MODEL,)
    found["model"] = _one_of(place, "model", given["model"] or (HOST_MODEL if found["kind"] == "host" else ""), known)
    for name, most in (("pdu_ids", 2), ("ups_ids", 64)):
        ids = tuple(part.strip() for part in given.get(name, "").split(";") if part.strip())
        if len(ids) > most or not all(_ID.match(each) for each in ids) or len(set(ids)) < len(ids):
            raise ValueError(f"{place}, column {name}: {given[name][:60]!r} is not up to {most} different ids apart by ';'; correct it")
        found[name] = ids
    return found


def _number(place: str, name: str, text: str, low: float, high: float, whole: bool = False) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high or (whole and value != int(value)):
        raise ValueError(
            f"{place}, column {name}: {text[:40]!r} is not a {'whole ' if whole else ''}number from {low:,.0f} to {high:,.0f}; correct it"
        )
    return value


def _one_of(place: str, name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"{place}, column {name}: {value[:40]!r} is unknown; it is one of {', '.join(known)}")
    return value


def _consistent(file: str, records: list[Record]) -> None:
    """Refuse what two lines say differently about one place, and two machines in one place."""
    same: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        ("row", "row_id", ("aisle_id", "row_power_budget_w", "cooling", "pdu_ids")),
        ("rack", "rack_id", ("row_id", "position")),
        ("aisle", "aisle_id", ("air_handlers",)),
    )
    seen: dict[tuple[str, Any], Record] = {}
    for record in records:
        for what, key, names in same:
            first = seen.setdefault((what, record[key]), record)
            for name in names:
                if first[name] != record[name]:
                    raise ValueError(
                        f"{record['place']}, column {name}: {_shown(record[name])} for {what} {record[key]}, which has "
                        f"{_shown(first[name])} in {_row(first)}; write the same in both"
                    )
        for what, place in (
            ("id", ("id", record["server_id"])),
            ("place", ("slot", record["rack_id"], record["slot"])),
        ):
            if (first := seen.setdefault((what, place), record)) is not record:
                thing = f"server_id: {record['server_id']}" if what == "id" else f"slot: slot {record['slot']} of {record['rack_id']}"
                raise ValueError(f"{record['place']}, column {thing} is taken by {_row(first)}; give each machine its own")
        rack = seen.setdefault(("at", (record["row_id"], record["position"])), record)
        if rack["rack_id"] != record["rack_id"]:
            raise ValueError(
                f"{record['place']}, column position: {record['position']} in {record['row_id']} is {rack['rack_id']}'s by "
                f"{_row(rack)}; give each rack its own"
            )
        for pdu in record["pdu_ids"]:
            if (first := seen.setdefault(("pdu", pdu), record))["ups_ids"] != record["ups_ids"]:
                raise ValueError(f"{record['place']}, column ups_ids: {pdu} is fed by others in {_row(first)}; write the same in both")
    if all(record["kind"] == "host" for record in records):
        raise ValueError(f"{file}: no line is a GPU server (kind gpu); add one")
    sites = {record["site_power_budget_w"] for record in records} - {None}
    if len(sites) > 1:
        raise ValueError(f"{file}: column site_power_budget_w has {len(sites)} values; write one, in every line or in the first")


def _shown(value: Any) -> str:
    return ";".join(value) or "none" if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)


def _row(record: Record) -> str:
    return str(record["place"].rpartition(": ")[2])


def _count_from_zero(records: list[Record]) -> list[str]:
    """Let places count from 0 where the whole inventory counts from more."""
    notes = []
    for name in ("position", "slot"):
        lowest = min(record[name] for record in records)
        for record in records:
            record[name] -= lowest
        notes += [f"{name}s count from {lowest}; the lowest is taken as the first"] if lowest else []
    return notes


def natural(text: str) -> tuple[Any, ...]:
    """Return what ids are put in order by: numbers in them count as numbers.

    >>> sorted(["row-10", "row-2"], key=natural)
    ['row-2', 'row-10']
    """
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in _PARTS.split(text))


def _grouped(records: list[Record], key: str, order: Callable[[str], Any]) -> list[tuple[str, list[Record]]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record[key], []).append(record)
    return sorted(groups.items(), key=lambda item: order(item[0]))


def _spec(records: list[Record], notes: list[str]) -> Record:
    """Return the fleet file that says the same; adds to ``notes`` what was left open and how it was taken."""
    rows = []
    for row_id, machines in _grouped(records, "row_id", natural):
        racks = [
            {
                "id": rack_id,
                "position": inside[0]["position"],
                "machine": [
                    {"id": each["server_id"], "slot": each["slot"], "model": each["model"], "kind": each["kind"]}
                    for each in sorted(inside, key=lambda each: int(each["slot"]))
                ],
            }
            for rack_id, inside in _grouped(machines, "rack_id", natural)
        ]
        first = machines[0]
        rows.append(
            {
                "id": row_id,
                "aisle": first["aisle_id"],
                "power_budget_w": first["row_power_budget_w"],
                "cooling": first["cooling"],
                "pdus": first["pdu_ids"],
                "rack": sorted(racks, key=lambda rack: int(rack["position"])),
            }
        )
    budget_w = sum(row["power_budget_w"] for row in rows)
    site = [record["site_power_budget_w"] for record in records if record["site_power_budget_w"]]
    notes += [] if site else [f"the site's power budget is taken as the sum of the rows' ({budget_w / 1e3:,.0f} kW)"]
    aisles = [{"id": name, "air_handlers": inside[0]["air_handlers"]} for name, inside in _grouped(records, "aisle_id", natural)]
    return {
        "name": "import",
        "site_power_budget_w": site[0] if site else budget_w,
        "aisle": aisles,
        "row": rows,
        **_feeds(records, rows, notes),
    }


def _feeds(records: list[Record], rows: list[Record], notes: list[str]) -> Record:
    """Return UPS units and PDUs that lines name, rated for the budgets of the rows behind them."""
    ups_ids = sorted({name for record in records for name in record["ups_ids"]}, key=natural)
    behind = {pdu: record["ups_ids"] for record in records for pdu in record["pdu_ids"]}
    rated = {pdu: sum(row["power_budget_w"] for row in rows if pdu in row["pdus"]) for pdu in behind}
    budget_w = sum(row["power_budget_w"] for row in rows)
    if behind or ups_ids:
        notes.append("PDUs are rated for all rows behind them, UPS units for equal parts of all rows' budgets; TOML can say otherwise")
    return {
        "pdu": [{"id": pdu, "rated_w": rated[pdu], "ups": behind[pdu]} for pdu in sorted(behind, key=natural)],
        "ups": [{"id": name, "rated_w": budget_w / len(ups_ids)} for name in ups_ids],
    }
