"""Panel of the way from the cause to the symptom, on what hangs on what."""

from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import polars as pl

from app import cases, parts, state
from app.charts.causal_path import Beside, Stop, causal_path_svg
from app.charts.quantity import grouped
from app.views.incidents import certainty
from app.views.incidents.reading import Looking
from app.views.workloads.lanes import note
from app.widgets.talk import talk
from twin.incidents.trajectory import Hypothesis

_SQL: Final = "SELECT source, kind, target FROM topology WHERE run_id = '{run_id}' AND target IN ({names})"


def path(look: Looking) -> None:
    """Draw the way of the chosen cause; a click on a stop opens the evidence that names it."""
    chosen = look.blamed
    if chosen is None:
        return
    found = stops(look, chosen)
    words = title(look, chosen, found)
    hue = next((line.hue for line in certainty.lines(look.shown) if line.key == cases.key_of(chosen)), 0) if look.shown else 0
    names = ", ".join(f"'{stop.entity_id.replace(chr(39), chr(39) * 2)}'" for stop in found)
    with parts.panel(words, "incidents-path", sql=_SQL.format(run_id=look.run_id, names=names), data=lambda: _edges(look, found), png=True):
        if len(found) < 2:
            many = len(hanging(str(state.home()), look.run_id).get(found[0].entity_id, {})) if found else 0
            own = "What was noticed is of the cause itself" if found else "No entity is blamed"
            note(f"{own}; {grouped(many)} others hang on it directly." if many else f"{own}.")
        if not found:
            return
        tokens = state.colours()
        talk(
            causal_path_svg(found, tokens, words, hue=hue), key="incidents-path", hint="What stands under another hangs on it.",
            on_pick=lambda name: _open(look, name),
        )  # fmt: skip


def _open(look: Looking, entity_id: str) -> None:
    chosen = look.blamed
    cited = _cites(chosen).get(entity_id, ()) if chosen else ()
    if cited:
        state.set_case(evidence=cited[0])


def _cites(chosen: Hypothesis) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for each in chosen.statements:
        found.setdefault(each.entity_id, []).extend(each.evidence_ids)
    return {name: tuple(dict.fromkeys(ids)) for name, ids in found.items()}


def stops(look: Looking, chosen: Hypothesis) -> list[Stop]:
    """Return the stops of a cause's path with what hangs on each, what was said of it and since when."""
    names = chosen.path or tuple(dict.fromkeys(name for name in (chosen.entity_id, look.incident.entity_id) if name))
    kinds, on = kinds_of(str(state.home()), look.run_id), hanging(str(state.home()), look.run_id)
    cites = _cites(chosen)
    said = {each.entity_id: each.words for each in reversed(chosen.statements) if each.supports}
    before = dict(zip(names[1:], names, strict=False))
    found = []
    for place, name in enumerate(names):
        above = before.get(name, "")
        siblings = on.get(above, {}) if above else {}
        beside = [Beside(each, each in look.incident.affected) for each in siblings if each != name and each not in names]
        beside.sort(key=lambda each: (not each.hit, each.entity_id))
        when = chosen.onset_s if place == 0 else look.incident.onset_s if place == len(names) - 1 else float("nan")
        words = kinds.get(name, "")
        if place == len(names) - 1:
            words = f"{words}: {look.incident.metric}" if words else look.incident.metric
        elif place == 0:
            words = cases.titled(chosen.cause)
        found.append(
            Stop(
                name, words, said.get(name, f"{name}: {words}"), edge=siblings.get(name, ""), cites=" ".join(cites.get(name, ())[:2]),
                when=f"{look.now.clock.at(when):%H:%M}" if when == when else "", beside=tuple(beside),
            )
        )  # fmt: skip
    return found


@lru_cache(maxsize=8)
def hanging(home: str, run_id: str) -> Mapping[str, dict[str, str]]:
    """Return who hangs on each entity of a run, and how."""
    found: dict[str, dict[str, str]] = {}
    for source, target, kind in _table(home, run_id, "topology", ("source", "target", "kind")).iter_rows():
        found.setdefault(target, {}).setdefault(source, kind)
    return found


@lru_cache(maxsize=8)
def kinds_of(home: str, run_id: str) -> Mapping[str, str]:
    """Return what each entity of a run is."""
    return dict(_table(home, run_id, "entities", ("entity", "kind")).iter_rows())


def _table(home: str, run_id: str, name: str, columns: tuple[str, ...]) -> pl.DataFrame:
    del home
    frame = state.table(run_id, name)
    return pl.DataFrame(schema=dict.fromkeys(columns, pl.String)) if frame.is_empty() else frame.select(pl.col(columns).cast(pl.String))


def _edges(look: Looking, found: list[Stop]) -> pl.DataFrame:
    frame = _table(str(Path(state.home())), look.run_id, "topology", ("source", "target", "kind"))
    return frame.filter(pl.col("target").is_in([stop.entity_id for stop in found]))


def title(look: Looking, chosen: Hypothesis, found: list[Stop]) -> str:
    """Return how long the cause took to be felt, or what is between it and the symptom."""
    ends = (found[0].entity_id, found[-1].entity_id) if found else ("", "")
    steps = sum(1 for _ in pairwise(found))
    took_s = look.incident.onset_s - chosen.onset_s
    if took_s == took_s and took_s >= 60.0 and steps:
        return f"From {ends[0]} to {ends[1]} in {took_s / 60.0:.0f} min, over {steps} step{'' if steps == 1 else 's'}"
    return f"From {ends[0]} to {ends[1]}" if steps else f"{ends[0] or 'The symptom'} itself"
