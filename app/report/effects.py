"""What a candidate does, metric by metric, as rows of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.charts.difference import Change, Row
from app.charts.quantity import Measure
from app.report.evidence import Evidence
from app.report.judgement import Bound, Judged, Line
from twin.metrics import METRICS
from twin.units import NARROW_SPACE


def row_of(line: Line) -> Row:
    """Return a line as the paired-difference chart takes it."""
    d = line.difference
    if not line.there_today:
        return _new(line)
    relative = line.bound is not None and line.bound.relative
    scale = abs(d.a) if relative and d.a else 1.0
    measure = Measure.of(line.metric, max((d.a, d.b), key=abs))
    past = line.bound is not None and line.state == "broken"
    ends = (None, None) if d.low is None or d.high is None else (d.low / scale, d.high / scale)
    return Row(
        domain=METRICS[line.metric].domain,
        label=line.label,
        metric=line.metric,
        measure=measure,
        change_measure=Measure.percent(line.metric) if relative else measure,
        today=d.a,
        bound_words=line.bound.words(line.metric) if line.bound else "",
        bound_change=line.bound.change(d.a) / scale if line.bound else None,
        changes=(Change(d.difference / scale, *ends, line.better, past),),
        group="asked" if line.bound else "",
    )


def _new(line: Line) -> Row:
    """Return a line of something that is not there today: its value stands for the change, from nothing."""
    value, metric = line.difference.b, METRICS[line.metric]
    measure = Measure.of(line.metric, value)
    past = line.bound is not None and line.state == "broken"
    words, bound = (line.bound.words(line.metric), line.bound.value) if line.bound else ("", None)
    change = Change(value, None, None, None, past)
    return Row(metric.domain, line.label, line.metric, measure, measure, None, words, bound, (change,), "asked" if line.bound else "")


def rows_of(judged: Sequence[Judged]) -> list[Row]:
    """Return one row per line that any candidate has, with every candidate's change; what was asked comes first."""
    found: dict[tuple[str, Bound | None], list[Line | None]] = {}
    for place, item in enumerate(judged):
        for line in item.lines:
            found.setdefault((line.metric, line.bound), [None] * len(judged))[place] = line
    return [_merged(lines) for lines in sorted(found.values(), key=_order)]


def _order(lines: Sequence[Line | None]) -> tuple[bool, int]:
    line = next(line for line in lines if line is not None)
    return line.bound is None, 0 if line.bound is not None else list(METRICS).index(line.metric)


def _merged(lines: Sequence[Line | None]) -> Row:
    first = next(line for line in lines if line is not None)
    return replace(row_of(first), changes=tuple(None if line is None else row_of(line).changes[0] for line in lines))


def effect(line: Line, row: Row) -> Mapping[str, Any]:
    """Return one line of the table of effects; every number is written already."""
    d = line.difference
    change = row.changes[0]
    assert change is not None
    unit = f"{NARROW_SPACE}%" if row.change_measure.unit == "%" and row.measure.unit != "%" else ""
    ends = [row.change_measure.signed(end) for end in (change.low, change.high) if end is not None]
    return {
        "metric": line.metric,
        "label": line.label,
        "unit": row.measure.unit,
        "today": row.measure.plain(d.a),
        "candidate": row.measure.plain(d.b),
        "interval": f"({ends[0]} to {ends[1]})" if len(ends) == 2 and ends[0] != ends[1] else "",
        "change": f"{row.change_measure.signed(change.value)}{unit}",
        "better": line.better,
        "bound": row.bound_words,
        "state": line.state,
        "seeds": f"{line.seeds_met}/{len(line.after)}" if line.bound else "",
        "asked": line.bound is not None,
    }


def alone(evidence: Evidence) -> list[Mapping[str, Any]]:
    """Return the metrics of a run that has no counterpart."""
    blank = {"interval": "", "change": "", "better": None, "bound": "", "state": "", "seeds": "", "asked": False, "candidate": ""}
    found = []
    for name, metric in METRICS.items():
        if name in evidence.shown_run.metrics:
            measure = Measure.of(name, evidence.shown_run.metrics[name])
            value = measure.plain(evidence.shown_run.metrics[name])
            found.append({"metric": name, "label": metric.label, "unit": measure.unit, "today": value, **blank})
    return found


def heading(judged: Judged | None) -> str:
    """Return what the table of effects shows, as a statement."""
    if judged is None:
        return "What was measured"
    if not judged.seeds:
        return "No seed is shared with today’s policy, so nothing can be compared yet"
    kept = sum(line.state in {"met", "at risk"} for line in judged.asked)
    seeds = len(judged.seeds)
    if not judged.asked:
        return f"{len(judged.others)} metrics over {seeds} paired seed{'s' if seeds > 1 else ''}"
    return f"{kept} of {len(judged.asked)} bounds hold under {f'all of {seeds} paired seeds' if seeds > 1 else 'one paired seed'}"
