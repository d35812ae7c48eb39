"""What happened to the plant in the runs of a report: faults, trips, VMs."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from app.charts.events import FAULTS
from app.charts.statements import event_words, named, plainly
from app.shelf import StoredRun
from twin.units import NARROW_SPACE, show

Sides = Mapping[str, StoredRun]
# More faults than these are counted, not listed.
LISTED = 8
# What the plant does by itself, in the order in which it is told: kinds of events with what one of them is called.
HARMS = {
    "ups_trip": "UPS units that tripped on overload",
    "pdu_trip": "PDUs that tripped on overload",
    "row_dark": "Rows that lost all power",
    "power_brake": "Rows that braked on power",
    "power_cap": "Rows that were slowed down to save power",
}


@dataclass(frozen=True)
class Happening:
    """One line: what, and what it came to on each side; ``bad`` where the last side has something that today's has not."""

    what: str
    cells: tuple[str, ...]
    bad: bool = False


def happened(sides: Sides) -> list[Happening]:
    """Return what a change board needs to know of power, trips, waiting VMs and servers, a cell per side; empty where nothing happened."""
    events = {role: _events(run) for role, run in sides.items()}
    found = [*_faults(sides, events), *_harms(sides, events), *_vms(sides), *_servers(sides)]
    return [line for line in found if any(cell not in {"", "none"} for cell in line.cells)]


def _events(run: StoredRun) -> pl.DataFrame:
    if "events" not in run.tables:
        return pl.DataFrame(schema={"t_s": pl.Float64, "kind": pl.String, "entity_id": pl.String, "value": pl.Float64})
    frame = run.tables["events"].filter(pl.col("domain").cast(pl.String) == "plant")
    columns = (pl.col("t_s"), pl.col("kind").cast(pl.String), pl.col("entity_id").cast(pl.String), pl.col("value").cast(pl.Float64))
    return frame.select(columns).sort("t_s").collect()


def _faults(sides: Sides, events: Mapping[str, pl.DataFrame]) -> list[Happening]:
    """Return the faults from outside, which are the same for all: when each place lost something, and until when."""
    spells: dict[tuple[str, str, float], dict[str, float | None]] = {}
    for role, frame in events.items():
        begun: dict[tuple[str, str], float] = {}
        mine = frame.filter(pl.col("kind").is_in(list(FAULTS - set(HARMS))))
        for t_s, kind, place, value in mine.iter_rows():
            if value and (kind, place) not in begun:
                begun[kind, place] = t_s
                spells.setdefault((kind, place, t_s), {})[role] = None
            elif not value and (kind, place) in begun:
                spells[kind, place, begun.pop((kind, place))][role] = t_s
    lines = []
    for (kind, place, from_s), ends in sorted(spells.items(), key=lambda item: item[0][2])[:LISTED]:
        cells = tuple(_span(run, from_s, ends[role]) if role in ends else "none" for role, run in sides.items())
        lines.append(Happening(named(event_words(kind, place, 1.0)), cells))
    if len(spells) > LISTED:
        lines.append(Happening("More faults", tuple(str(sum(role in ends for ends in spells.values()) - LISTED) for role in sides)))
    return lines


def _span(run: StoredRun, from_s: float, to_s: float | None) -> str:
    begin = run.clock.at(from_s).strftime("%H:%M")
    return f"{begin} to {run.clock.at(to_s).strftime('%H:%M')}" if to_s is not None else f"from {begin}"


def _harms(sides: Sides, events: Mapping[str, pl.DataFrame]) -> list[Happening]:
    lines = []
    for kind, what in HARMS.items():
        mine = {role: frame.filter((pl.col("kind") == kind) & (pl.col("value") > 0)) for role, frame in events.items()}
        cells = tuple(_times(run, mine[role]) for role, run in sides.items())
        counts = [frame.height for frame in mine.values()]
        lines.append(Happening(what, cells, bad=len(counts) > 1 and counts[-1] > counts[0]))
    return lines


def _times(run: StoredRun, frame: pl.DataFrame) -> str:
    """Return how often something happened, where and when first."""
    if frame.is_empty():
        return "none"
    t_s, _, place, _ = frame.row(0)
    often = "once" if frame.height == 1 else f"{_count(frame.height)} times"
    return f"{often}, {'' if frame.height == 1 else 'first '}{plainly(place)} at {run.clock.at(t_s).strftime('%H:%M')}"


def _vms(sides: Sides) -> list[Happening]:
    """Return how VMs fared that looked for a place: how many waited for longer than a tick, how many found none."""
    waits = {role: run.tables["vm_waits"].collect() for role, run in sides.items() if "vm_waits" in run.tables}
    if not waits:
        return []
    waited, refused = [], []
    for role, run in sides.items():
        frame = waits.get(role)
        if frame is None:
            waited.append("")
            refused.append("")
            continue
        late = frame.filter(pl.col("waited_s") > float(run.manifest["tick_s"]))
        longest = float(late["waited_s"].max() or 0.0)  # type: ignore[arg-type]
        waited.append(f"{_count(late.height)} of {_count(frame.height)}, up to {show(longest, 'x_s')}" if late.height else "none")
        outcomes = frame.filter(pl.col("outcome").cast(pl.String) != "placed").group_by("outcome").len().sort("outcome")
        refused.append(", ".join(f"{_count(number)} {outcome}" for outcome, number in outcomes.iter_rows()) or "none")
    return [Happening("VMs that waited for a place", tuple(waited)), Happening("VMs that found no place", tuple(refused))]


def _servers(sides: Sides) -> list[Happening]:
    """Return how many servers a policy put beyond those that budgets, feeds and air handlers were made for."""
    cells = []
    for run in sides.values():
        extra = sum(run.manifest.get("extra_servers", {}).values())
        built = len(run.manifest["entities"].get("server", ())) - extra
        cells.append(f"{_count(extra)}, {show(extra / built, 'x_share')} of those built" if extra and built > 0 else "none")
    return [Happening("Servers beyond what budgets were made for", tuple(cells))]


def _count(number: int) -> str:
    return f"{number:,}".replace(",", NARROW_SPACE)
