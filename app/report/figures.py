"""Figures of a report: the day under today's policy and the candidate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from app.charts.curve import Axis, Bound, Curve, clock_axis, draw, value_axis
from app.charts.quantity import Measure
from app.charts.tokens import LIGHT
from app.report.judgement import Line
from app.shelf import StoredRun
from twin.units import show

_SHARES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999)
Sides = Mapping[str, StoredRun]


@dataclass(frozen=True)
class Figure:
    """One figure: what it shows as a statement, the drawing, and the table that holds every number in it."""

    key: str
    title: str
    svg: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def figures(sides: Sides, lines: Sequence[Line]) -> list[Figure]:
    """Draw what the runs hold evidence for. ``sides`` has ``today`` and, where there is one, ``candidate``."""
    drawn = [make(sides, lines) for make in (_hottest, _row_power, _ttft, _cost)]
    return [figure for figure in drawn if figure is not None]


def _hottest(sides: Sides, lines: Sequence[Line]) -> Figure | None:
    return _by_row(sides, lines, "hottest-gpu", "plant.gpu_temp_max_c", ("Hottest GPU", "gpu_temp_max_c"))


def _row_power(sides: Sides, lines: Sequence[Line]) -> Figure | None:
    return _by_row(sides, lines, "row-power", "plant.row_power_peak_w", ("Power of the busiest row", "power_w"))


def _by_row(sides: Sides, lines: Sequence[Line], key: str, metric: str, shown: tuple[str, str]) -> Figure | None:
    """Draw the highest value of the rows that the intent speaks of, of all rows where it names none."""
    what, column = shown
    bounds = [line.bound for line in lines if line.metric == metric and line.bound is not None]
    rows = [scope.id for scope in bounds[0].scope if scope.kind == "row"] if bounds else []

    def read(run: StoredRun) -> pl.DataFrame | None:
        if "rows" not in run.tables:
            return None
        frame = run.tables["rows"]
        return _in_bins(run, frame.filter(pl.col("row_id").cast(pl.String).is_in(rows)) if rows else frame, column, pl.max)

    return _over_time(sides, lines, key, f"{what}, {', '.join(rows)}" if rows else what, metric, read)


def _cost(sides: Sides, lines: Sequence[Line]) -> Figure | None:
    def read(run: StoredRun) -> pl.DataFrame | None:
        if "endpoints" not in run.tables:
            return None
        sums = run.tables["endpoints"].group_by("t_s").agg(pl.col("usd_per_h").sum())
        return _in_bins(run, sums, "usd_per_h", pl.mean)

    return _over_time(sides, lines, "serving-cost", "Serving cost", "serving.cost_usd_per_h", read)


def bin_s(run: StoredRun) -> float:
    """Return the length of a bin: a quarter of an hour of a day, a minute of an hour or two."""
    return 900.0 if run.brief.end_s - run.brief.begin_s > 4 * 3600.0 else 60.0


def _in_bins(run: StoredRun, frame: pl.LazyFrame, column: str, how: Callable[[str], pl.Expr]) -> pl.DataFrame | None:
    """Return one value per bin, at its begin."""
    begin = ((pl.col("t_s") - 1e-6) / bin_s(run)).floor().clip(lower_bound=0) * bin_s(run)
    values = pl.col(column).cast(pl.Float64).fill_nan(None)
    binned = frame.select(begin.alias("t_s"), values.alias("value")).group_by("t_s").agg(how("value")).sort("t_s").drop_nulls().collect()
    return binned if binned.height else None


def _over_time(
    sides: Sides, lines: Sequence[Line], key: str, what: str, metric: str, read: Callable[[StoredRun], pl.DataFrame | None]
) -> Figure | None:
    frames = {role: frame for role, run in sides.items() if (frame := read(run)) is not None}
    if not frames:
        return None
    run = next(iter(sides.values()))
    everything = [float(value) for frame in frames.values() for value in frame["value"]]
    bounds = _bounds(lines, metric, run, (min(everything), max(everything)))
    measure = Measure.of(metric, max(everything))
    x = clock_axis(run.clock, run.brief.begin_s, run.brief.end_s)
    y = value_axis([*everything, *(bound.value for bound in bounds)], measure)
    curves = [Curve(role, tuple(frame["t_s"].to_list()), tuple(frame["value"].to_list())) for role, frame in frames.items()]
    what = f"{what}, highest {'quarter of an hour' if bin_s(run) == 900.0 else 'minute'}"
    title = _title(what, metric, {role: float(frame["value"].max()) for role, frame in frames.items()})  # type: ignore[arg-type]
    times = sorted({t for frame in frames.values() for t in frame["t_s"].to_list()})
    found = [dict(frame.iter_rows()) for frame in frames.values()]
    rows = tuple((run.clock.at(t).strftime("%H:%M"), *(measure.plain(values.get(t)) for values in found)) for t in times)
    return Figure(key, title, draw(curves, x, y, LIGHT, title, measure, bounds), ("from", *(f"{r}, {measure.unit}" for r in frames)), rows)


def _title(what: str, metric: str, peaks: Mapping[str, float]) -> str:
    words = ", ".join(f"{role} {show(value, metric)}" for role, value in peaks.items())
    return f"{what}: {words}"


def _bounds(lines: Sequence[Line], metric: str, run: StoredRun, extent: tuple[float, float]) -> list[Bound]:
    """Return the absolute bounds that an intent puts on a metric, where they lie near what is drawn."""
    found: dict[float, Bound] = {}
    reach = 2.0 * (extent[1] - extent[0]) or abs(extent[1])
    for line in lines:
        bound = line.bound
        if line.metric != metric or bound is None or bound.relative or not extent[0] - reach <= bound.value <= extent[1] + reach:
            continue
        spans = () if bound.window is None else _spans(run, bound)
        found[bound.value] = Bound(bound.value, f"{bound.intent_id} {bound.words(metric)}", spans)
    return list(found.values())


def _spans(run: StoredRun, bound: object) -> tuple[tuple[float, float], ...]:
    times = np.arange(run.brief.begin_s, run.brief.end_s, 300.0)
    inside = run.clock.inside(times, bound.window).astype(np.int8)  # type: ignore[attr-defined]
    edges = np.diff(np.concatenate([[0], inside, [0]]))
    ends = [*times.tolist(), run.brief.end_s]
    return tuple((ends[a], ends[b]) for a, b in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True))


def _ttft(sides: Sides, lines: Sequence[Line]) -> Figure | None:
    """Return the distribution of the time to first token on an axis of nines."""
    found: dict[str, list[float]] = {}
    for role, run in sides.items():
        if "requests" in run.tables:
            values = run.tables["requests"].select(pl.col("ttft_s").cast(pl.Float64)).collect()["ttft_s"].drop_nulls().drop_nans()
            if values.len():
                found[role] = [float(values.quantile(share, "linear") or 0.0) for share in _SHARES]
    if not found:
        return None
    measure = Measure.of("serving.ttft_p99_s", max(values[4] for values in found.values()))
    nines = tuple(-float(np.log10(1.0 - share)) for share in _SHARES)
    x = Axis(nines[0], nines[-1], tuple((nines[i], f"{_SHARES[i] * 100:g} %") for i in (0, 2, 4, 6)))
    y = value_axis([value for values in found.values() for value in values], measure, zero=True)
    curves = [Curve(role, nines, tuple(values)) for role, values in found.items()]
    p99 = ", ".join(f"{role} {show(values[4], 'serving.ttft_p99_s')}" for role, values in found.items())
    title = f"Time to first token by share of requests: 99 % within {p99}"
    rows = tuple((f"{share * 100:g} %", *(measure.plain(values[i]) for values in found.values())) for i, share in enumerate(_SHARES))
    return Figure("ttft", title, draw(curves, x, y, LIGHT, title, measure), ("share", *(f"{r}, {measure.unit}" for r in found)), rows)
