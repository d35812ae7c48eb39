"""What a run comes to in eight numbers, each with its day behind it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from app import state
from app.overlays import Overlay, of
from app.site import Limits
from twin.metrics import METRICS, Scope
from twin.units import show, show_change, split

BINS: Final = 96
# What the negotiation comes to, and what is said where there is no number.
_NEGOTIATED: Final[Mapping[str, str]] = {
    "workloads.price_cut_share": "–",
    "workloads.evictions": "–",
    "workloads.broken_requirements": "–",
    "workloads.notices_honoured_share": "none due",
}
# What functions and jobs come to; a run has those of what it runs.
_WORKED: Final[Mapping[str, str]] = dict.fromkeys(
    (
        "functions.latency_p50_s",
        "functions.latency_p99_s",
        "functions.cold_start_share",
        "workflows.makespan_p50_s",
        "workflows.makespan_p99_s",
        "workflows.energy_j_per_job",
        "workflows.cost_usd_per_job",
        "workflows.quality_min_share",
    ),
    "",
)
# Above this part of a limit a number is at risk; temperatures in Celsius stand in for the room that is left.
AT_RISK_SHARE: Final = 0.97
# A change below this part of the number (of 100 % for shares) shows in none of its digits.
_SEEN_SHARE: Final = 1e-5


@dataclass(frozen=True, slots=True)
class Headline:
    """One number: its metric, where, what it is held against (in words and as a value), and the curve of its day."""

    label: str
    metric: str
    scope: tuple[Scope, ...] = ()
    limit: float | None = None
    limit_words: str = ""
    curve: tuple[str, str, str] | None = None  # table, column, aggregation
    where: tuple[str, str] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def headlines(run_id: str, limits: Limits) -> list[Headline]:
    """Return the eight numbers of a run; row and endpoint are those that come nearest to their limits."""
    row, hot, endpoint = fullest_row(run_id, limits), hottest_row(run_id), slowest_endpoint(run_id, limits)
    found = [
        _hottest(hot, limits),
        Headline("Thermal throttling", "plant.thermal_throttle_events", curve=("servers", "thermal_throttles", "sum")),
    ]
    if row is not None:
        budget = limits.row_w[row]
        words = f"budget {show(budget, 'x_w')}"
        curve = ("rows", "power_w", "mean")
        found.append(Headline(f"{row} peak power", "plant.row_power_peak_w", (Scope("row", row),), budget, words, curve, ("row_id", row)))
    site_words = f"meter {show(limits.site_w, 'x_w')}"
    found.append(Headline("Site peak power", "plant.site_power_peak_w", (), limits.site_w, site_words, ("site", "site_power_w", "mean")))
    if endpoint is not None:
        bound, scope = limits.ttft_s[endpoint], (Scope("endpoint", endpoint),)
        words, curve = f"objective {show(bound, 'x_s')}", ("endpoints", "ttft_p99_s", "mean")
        found.append(Headline(f"{endpoint} TTFT p99", "serving.ttft_p99_s", scope, bound, words, curve, ("endpoint_id", endpoint)))
    found.append(Headline("Requests within SLO", "serving.slo_attainment_share", curve=("endpoints", "slo_share", "mean")))
    found.append(Headline("Serving cost", "serving.cost_usd_per_h", curve=("endpoints", "usd_per_h", "total")))
    found.append(Headline("Energy cost", "plant.energy_cost_usd", curve=("site", "cost_usd_per_h", "mean")))
    return found


def _hottest(row: str | None, limits: Limits) -> Headline:
    limit = limits.gpu_c.get(row or "")
    words = f"limit {show(limit, 'x_c')}" if limit is not None else ""
    return Headline("Hottest GPU", "plant.gpu_temp_max_c", (), limit, words, ("rows", "gpu_temp_max_c", "max"))


def negotiated(run_id: str, today: str | None = None) -> list[dict[str, Any]]:
    """Return what the negotiation comes to, a row a metric with its change against ``today``; empty where nobody negotiates."""
    return [] if state.metric(run_id, "workloads.price_cut_share") is None else _rows(run_id, today, _NEGOTIATED)


def worked(run_id: str, today: str | None = None) -> list[dict[str, Any]]:
    """Return what functions and jobs come to, a row a metric that the run has, with its change against ``today``."""
    return _rows(run_id, today, {name: said for name, said in _WORKED.items() if state.metric(run_id, name) is not None})


def _rows(run_id: str, today: str | None, said: Mapping[str, str]) -> list[dict[str, Any]]:
    found = []
    for name, nothing in said.items():
        value, before = state.metric(run_id, name), state.metric(today, name) if today else None
        change, sense = change_words(name, before, value)
        text = nothing if value is None else f"{show(value, name)}{' a day' if METRICS[name].per_day else ''}"
        cell = {"id": name, "what": METRICS[name].label, "value": text}
        found.append({**cell, "change": {"text": change, "sense": sense} if change else None})
    return found


def hottest_row(run_id: str) -> str | None:
    """Return the row with the hottest GPU."""
    rows = state.table(run_id, "rows")
    if rows.is_empty():
        return None
    top = rows.select(pl.col("row_id").cast(pl.String), pl.col("gpu_temp_max_c").fill_nan(None)).drop_nulls()
    return None if top.is_empty() else str(top.sort("gpu_temp_max_c", descending=True)["row_id"][0])


def fullest_row(run_id: str, limits: Limits) -> str | None:
    """Return the row whose peak comes nearest to its budget."""
    rows = state.table(run_id, "rows")
    if rows.is_empty():
        return None
    peaks = rows.group_by(pl.col("row_id").cast(pl.String)).agg(pl.col("power_w").max())
    shares = {row: power / limits.row_w[row] for row, power in peaks.iter_rows() if row in limits.row_w}
    return max(sorted(shares), key=lambda row: shares[row]) if shares else None


def slowest_endpoint(run_id: str, limits: Limits) -> str | None:
    """Return the endpoint whose time to first token comes nearest to its objective, or passes it most."""
    shares = {}
    for endpoint, bound in limits.ttft_s.items():
        value = state.metric(run_id, "serving.ttft_p99_s", (Scope("endpoint", endpoint),))
        if value is not None:
            shares[endpoint] = value / bound
    return max(sorted(shares), key=lambda name: shares[name]) if shares else None


def worst(run_id: str, limits: Limits) -> list[tuple[str, str, tuple[Scope, ...], float | None]]:
    """Return the worst place of each kind over the day: id, metric, scope, value."""
    found: list[tuple[str, str, tuple[Scope, ...], float | None]] = []
    if row := hottest_row(run_id):
        found.append(_entry(run_id, row, "plant.gpu_temp_max_c", "row"))
    racks = state.table(run_id, "racks")
    if not racks.is_empty():
        rack = str(racks.select(pl.col("rack_id").cast(pl.String), "inlet_c").sort("inlet_c", descending=True)["rack_id"][0])
        found.append(_entry(run_id, rack, "plant.inlet_temp_max_c", "rack"))
    if row := fullest_row(run_id, limits):
        found.append(_entry(run_id, row, "plant.row_power_peak_w", "row"))
    if endpoint := slowest_endpoint(run_id, limits):
        found.append(_entry(run_id, endpoint, "serving.ttft_p99_s", "endpoint"))
        found.append(_entry(run_id, endpoint, "serving.slo_attainment_share", "endpoint"))
    return found


def _entry(run_id: str, where: str, metric: str, kind: str) -> tuple[str, str, tuple[Scope, ...], float | None]:
    scope = (Scope(kind, where),)  # type: ignore[arg-type]
    return where, metric, scope, state.metric(run_id, metric, scope)


def curve(run_id: str, headline: Headline, begin_s: float, end_s: float, parts: int = BINS) -> list[float | None]:
    """Return the day behind a number in equal parts; None where nothing was recorded."""
    if headline.curve is None:
        return []
    name, column, how = headline.curve
    frame = state.table(run_id, name)
    if column not in frame.columns:
        return []
    if headline.where is not None:
        frame = frame.filter(pl.col(headline.where[0]).cast(pl.String) == headline.where[1])
    span = (end_s - begin_s) / parts
    values = pl.col(column).cast(pl.Float64).fill_nan(None)
    if how == "total":  # a sum over entities, then a mean over time
        frame = frame.group_by("t_s").agg(values.sum())
        how = "mean"
    at = ((pl.col("t_s") - begin_s) / span - 1e-9).floor().clip(0, parts - 1).cast(pl.Int64)
    binned = dict(frame.group_by(at.alias("bin")).agg(getattr(pl.col(column).cast(pl.Float64).fill_nan(None), how)()).iter_rows())
    found = [None if binned.get(index) is None else float(f"{binned[index]:.5g}") for index in range(parts)]
    return _running(found) if headline.metric.endswith("_events") else found


def _running(values: Sequence[float | None]) -> list[float | None]:
    total, out = 0.0, []
    for value in values:
        total += value or 0.0
        out.append(total)
    return out


def tile(
    headline: Headline,
    today: str | None,
    candidate: str | None,
    shown: str,
    span: tuple[float, float, float],
    asked: Sequence[Overlay] = (),
) -> dict[str, Any]:
    """Return a tile: the shown run's number, its change against today where a candidate is shown.

    ``span`` is begin, end and cursor; ``asked`` are the bounds of intents, of which those of this number are drawn beside its limit.
    """
    begin_s, end_s, t_s = span
    length_s = (end_s - begin_s) or 1.0
    mine = of(asked, headline.metric, headline.scope)
    number = state.metric(shown, headline.metric, headline.scope)
    text, unit = split(number, headline.metric)
    before = state.metric(today, headline.metric, headline.scope) if today and candidate and shown == candidate else None
    change, sense = change_words(headline.metric, before, number)
    return {
        "label": headline.label,
        "meaning": METRICS[headline.metric].meaning,
        "state": worse([held(number, headline.limit), *(item.stands for item in mine)]),
        "value": text,
        "unit": f"{unit}{' a day' if METRICS[headline.metric].per_day else ''}".strip(),
        "change": change,
        "sense": sense,
        "note": "today’s policy" if candidate and shown == today else "",
        "bound": mine[0].words if mine else headline.limit_words,
        "bounds": [
            {"value": item.value, "spans": [[(a - begin_s) / length_s, (b - begin_s) / length_s] for a, b in item.spans]} for item in mine
        ],
        "today": curve(today, headline, begin_s, end_s) if today else None,
        "shown": curve(candidate, headline, begin_s, end_s) if candidate else None,
        "limit": headline.limit,
        "at": (t_s - begin_s) / length_s,
    }


def change_words(metric: str, before: float | None, after: float | None) -> tuple[str, str]:
    """Return a change with its sign, and whether it is better or worse; shares change by points, money by per cent."""
    if before is None or after is None:
        return "", ""
    change = after - before
    if abs(change) < _SEEN_SHARE * (1.0 if metric.endswith("_share") else abs(before)):
        return "as today", ""
    shown = show_change(change, metric)
    if metric.endswith("_share"):
        shown = f"{split(change, metric)[0] if change <= 0 else '+' + split(change, metric)[0]} points"
    elif "_usd" in metric and before:
        shown = show_change(change / before, "x_share")
    if not re.search("[1-9]", shown):
        return "as today", ""
    return shown, "better" if (change < 0) == (METRICS[metric].better == "lower") else "worse"


def held(number: float | None, limit: float | None) -> str:
    """Return met, at risk or broken against an upper limit; empty where there is none."""
    if number is None or limit is None:
        return ""
    return "broken" if number > limit else "at risk" if number > AT_RISK_SHARE * limit else "met"


def worse(words: Sequence[str]) -> str:
    """Return the worst of several states, empty where there is none."""
    return next((name for name in ("broken", "at risk", "met") if name in words), "")
