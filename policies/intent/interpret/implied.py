"""What a number means without a noun, and what it is counted per."""

from typing import Final

from policies.intent.interpret.choice import FAMILY_P99, Choice, latency
from policies.intent.interpret.quantities import Per, Quantity
from twin.metrics import METRICS

_INLET: Final = "plant.inlet_temp_max_c"


def implied(quantity: Quantity, per: Per | None, scope_kinds: set[str], percentile: str | None) -> Choice | None:
    """Return what a quantity means without any noun, by its unit and place alone; None where that is open."""
    if quantity.kind == "time" and per is not None and per.what == "tokens":
        p99 = FAMILY_P99["atgt"]
        if percentile not in {None, "p99"}:
            return Choice(about=p99, question=f"{percentile} is not known for {METRICS[p99].label}, only p99; should it hold there?")
        return Choice((p99,), assumed="" if percentile else f"no percentile is named, p99 is taken for {METRICS[p99].label}")
    if quantity.kind == "time" and 0 < quantity.value < 2e-6:
        return Choice(("memory.access_latency_s",))
    if quantity.kind == "power" and ("row" in scope_kinds or (per is not None and per.what == "row")):
        return Choice(("plant.row_power_peak_w",))
    if quantity.kind == "temp" and scope_kinds and scope_kinds <= {"row", "rack", "server"} and quantity.value > METRICS[_INLET].high:
        return Choice(("plant.gpu_temp_max_c",), assumed="no air is so hot, the hottest GPU is taken")
    if quantity.kind == "time" and scope_kinds == {"function"}:
        return latency((), quantity, per, scope_kinds, False, percentile)
    if scope_kinds == {"workflow"} and (job := _of_job(quantity, per, percentile)) is not None:
        return job
    if quantity.kind == "money" and per is not None:
        return _money(per)
    if quantity.kind == "bytes":
        return Choice(("memory.migrated_bytes",))
    if quantity.kind == "energy":
        return Choice(("workflows.energy_j_per_job",)) if per is not None and per.what == "job" else Choice(("plant.energy_j",))
    if quantity.kind == "count" and per is not None and per.what in {"second", "minute"} and scope_kinds == {"function"}:
        return Choice(("functions.throughput_max_per_s",))
    return None


def _of_job(quantity: Quantity, per: Per | None, percentile: str | None) -> Choice | None:
    """Return what a time, an amount of money or of energy means where jobs are spoken of."""
    if per is None and quantity.kind in {"money", "energy"}:
        return Choice((f"workflows.{'cost_usd' if quantity.kind == 'money' else 'energy_j'}_per_job",))
    if quantity.kind != "time":
        return None
    wanted = {None: "p99", "p50": "p50", "p99": "p99"}.get(percentile)
    if wanted is None:
        question = f"{percentile} is not known for makespan, only p50 and p99; which is meant?"
        return Choice(about=FAMILY_P99["makespan"], question=question)
    return Choice((f"workflows.makespan_{wanted}_s",), assumed="" if percentile else "no percentile is named, p99 is taken for makespan")


def _money(per: Per) -> Choice | None:
    by_what = {"job": "workflows.cost_usd_per_job", "host": "memory.cost_usd_per_host", "tokens": "serving.cost_usd_per_million_tokens"}
    if per.what in by_what:
        return Choice((by_what[per.what],))
    if per.what == "hour":
        return Choice(("serving.cost_usd_per_h",), assumed="money per hour is read as the serving cost")
    return None


def per_unit(metric: str, per: Per | None) -> float | None:
    """Return what a value is multiplied by to get from what it is counted per to the metric's own; None where that is open."""
    what = per.what if per is not None else ""
    seconds = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0, "week": 604800.0}
    if per is not None and metric.endswith("_tokens"):
        return 1e6 / per.tokens if what == "tokens" else None
    if METRICS[metric].per_day:
        return (
            1.0
            if not what or (what not in seconds and what not in {"month", "year"})
            else 86400.0 / seconds[what]
            if what in seconds
            else None
        )
    if metric.endswith("_usd_per_h"):
        return 3600.0 / seconds[what] if what in seconds else None
    if metric.endswith("_per_s"):
        return 1.0 / seconds[what] if what in seconds else None
    return 1.0
