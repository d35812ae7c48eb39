"""The functions of a report: latency by segment, saturation, cores burnt."""

from typing import Final

import polars as pl

from app.charts.statements import count
from app.report.negotiation import Part
from app.report.tabled import NOTHING, Sides, TabledSection, counted, lowered, shown, table
from app.shelf import StoredRun
from twin.functions.latencies import quantile_s
from twin.functions.readings import FUNCTION_HOSTS, FUNCTION_LATENCY, FUNCTION_PATH, FUNCTIONS, SEGMENTS
from twin.units import show

_CALLED: Final = {
    "gateway": "Gateway",
    "provider": "Provider",
    "function_stack": "Function’s stack",
    "lookup": "Metadata look-ups",
    "interference": "Interference",
    "queue": "Waiting for a core",
    "cold_start": "Cold start",
    "run": "The function itself",
}
# Fewer calls than this leave fewer than ten beyond the 99th percentile.
_ENOUGH: Final = 1_000


def section(sides: Sides) -> TabledSection | None:
    """Return the section on functions, read off the tables of the runs; None where none was called."""
    run = list(sides.values())[-1] if sides else None
    if run is None or not table(run, FUNCTIONS)["arrived"].sum():
        return None
    return TabledSection("Functions", _title(sides), _why(run), (_path(sides), _each(sides), _hosts(sides)))


def _title(sides: Sides) -> str:
    *before, now = (side.metrics for side in sides.values())
    words = []
    for name, called in (("functions.latency_p50_s", "the median call"), ("functions.latency_p99_s", "99 of 100")):
        change = lowered(before[0].get(name) if before else None, now.get(name))
        words.append(f"{called} in {shown(now.get(name), name)}{f' ({change})' if change else ''}")
    return f"functions answer {words[0]}, {words[1]}"


def _why(run: StoredRun) -> str:
    frame = table(run, FUNCTIONS)
    calls, functions = int(frame["completed"].sum()), frame["function_id"].n_unique()
    words = f"{count(functions, 'function')} answered {counted(calls)} calls"
    few = [name for name, done in _calls(frame) if done < _ENOUGH]
    if few:
        words += f"; of {', '.join(few)} fewer than {counted(_ENOUGH)}, too few for the 99th percentile to mean much"
    return f"{words[0].upper()}{words[1:]}."


def _calls(frame: pl.DataFrame) -> list[tuple[str, int]]:
    return list(frame.group_by("function_id", maintain_order=True).agg(pl.col("completed").sum()).iter_rows())


def _path(sides: Sides) -> Part:
    """Return a row a segment of the path: its mean over all calls, and over the slowest hundredth of each window's."""
    found = {role: _segments(run) for role, run in sides.items()}
    rows = []
    for name in (*SEGMENTS, "all"):
        means = [frame.get(name, (0.0, 0.0)) for frame in found.values()]
        if name == "all" or any(any(each) for each in means):
            cells = [shown(each[place], "x_s") for place in (0, 1) for each in means]
            rows.append((_CALLED.get(name, "All of it"), *cells))
    heads = [f"{what}, {role}" for what in ("Mean", "Slowest 1 %") for role in sides]
    note = "Means over all calls; the slowest hundredth of each function in each window, weighted by its calls."
    return Part("Where the time of a call goes", ("Segment", *heads), tuple(rows), 1, note)


def _segments(run: StoredRun) -> dict[str, tuple[float, float]]:
    """Return mean and slowest-hundredth mean of each segment, seconds, and of ``all`` together."""
    calls = table(run, FUNCTIONS).select("t_s", "function_id", "completed")
    path = table(run, FUNCTION_PATH).join(calls, on=["t_s", "function_id"], how="inner").filter(pl.col("completed") > 0)
    total = float(calls["completed"].sum()) or 1.0
    weighted = [(pl.col(name).fill_nan(0.0) * pl.col("completed")).sum() / total for name in ("mean_s", "tail_mean_s")]
    found = {name: (mean, tail) for name, mean, tail in path.group_by("segment", maintain_order=True).agg(*weighted).iter_rows()}
    return {**found, "all": (sum(mean for mean, _ in found.values()), sum(tail for _, tail in found.values()))}


def _each(sides: Sides) -> Part:
    """Return a row a function: calls, cold starts and latency, today's beside the candidate's."""
    run = list(sides.values())[-1]
    figures = {role: _figures(side) for role, side in sides.items()}
    rows = []
    for name, calls in _calls(table(run, FUNCTIONS)):
        mine = [figures[role].get(name, {}) for role in sides]
        cells = [shown(each.get(key), unit) for key, unit in (("p50", "x_s"), ("p99", "x_s"), ("cold", "x_share")) for each in mine]
        rows.append((name, counted(calls), *cells))
    heads = [f"{what}, {role}" for what in ("Median", "p99", "Cold starts") for role in sides]
    return Part("What each function takes", ("Function", "Calls", *heads), tuple(rows), 1, "From call to answer, over the whole run.")


def _figures(run: StoredRun) -> dict[str, dict[str, float]]:
    bins = table(run, FUNCTION_LATENCY).group_by("function_id", "low_s").agg(pl.col("calls").sum()).sort("function_id", "low_s")
    found: dict[str, dict[str, float]] = {}
    for (name,), mine in bins.partition_by("function_id", as_dict=True, maintain_order=True).items():
        lows_s, calls = mine["low_s"].to_numpy(), mine["calls"].to_numpy()
        found[str(name)] = {key: quantile_s(lows_s, calls, share) for key, share in (("p50", 0.50), ("p99", 0.99))}
    sums = table(run, FUNCTIONS).group_by("function_id").agg(pl.col("arrived", "cold_starts").sum())
    for name, arrived, cold in sums.iter_rows():
        found.setdefault(name, {})["cold"] = cold / arrived if arrived else 0.0
    return found


def _hosts(sides: Sides) -> Part:
    """Return a row a side: cores busy, cores burnt polling, and the calls a second at which all would be busy."""
    rows = []
    for role, run in sides.items():
        frame = table(run, FUNCTION_HOSTS)
        by_window = frame.group_by("t_s", "window_s").agg(pl.col("busy_cores", "polling_cores", "cores", "instances_bytes").sum())
        span_s = float(by_window["window_s"].sum()) or 1.0
        means = [
            float((by_window[name] * by_window["window_s"]).sum()) / span_s
            for name in ("busy_cores", "polling_cores", "cores", "instances_bytes")
        ]
        most = run.metrics.get("functions.throughput_max_per_s")
        cores = (f"{value:.2f}" for value in means[:2])
        per_s = NOTHING if most is None else counted(most)
        rows.append((role.capitalize(), *cores, f"{means[2]:g}", show(means[3], "x_bytes"), per_s))
    heads = ("Policy", "Cores busy", "Cores burnt polling", "Cores there", "Memory of instances", "Calls/s at saturation")
    note = "Means over the run, all hosts together. Polling cores spin at any load. Saturation: all cores busy with this mix of calls."
    return Part("What the hosts bear", heads, tuple(rows), 1, note)
