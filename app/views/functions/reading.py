"""What the page traces: one function of the run shown, what tables say."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import polars as pl

from app import hops, later, state
from app.hops import RUNTIMES, Edits
from app.later import Answer
from twin.clock import Window
from twin.functions import curve
from twin.functions.levers import Runtime
from twin.functions.readings import SEGMENTS
from twin.functions.settings import Function, Settings
from twin.metrics import Scope

# Numba is imported with this page, in its own thread: of two threads that do it at once, one can meet half a module.
_COMPILED: Final = curve
PAPER_ID: Final = "paper-aes"
# The paper's function in the settings' own defaults: 600 µs of work, 60 µs of them on a core.
PAPER: Final = Function(id=PAPER_ID)
PAPER_CORES: Final = 4
LISTED: Final = 200
_NEAR: Final = 12


@dataclass(frozen=True, slots=True)
class Tracing:
    """What is looked at: the function, on so many cores of a host, called so often; costs as edited; the shown run and the other.

    ``instances`` are warm on average in the run; where it has none, as many as it takes on average.
    ``run_id`` is empty where nothing was run, ``ids`` where the run has no functions; then the function is the paper's.
    """

    now: state.Context
    run_id: str
    other: str | None
    settings: Settings
    ids: tuple[str, ...]
    function: Function
    cores: int
    rate_per_s: float
    instances: float
    edits: Edits

    @property
    def of_run(self) -> bool:
        """Return whether the function is one of the shown run."""
        return self.function.id in self.ids

    def runtime(self, name: str) -> Runtime:
        """Return a runtime with the costs that are looked at."""
        return hops.of(name, {**hops.told(hops.of(name, {})), **self.edits.get(name, {})}, cached=self.settings.cached)

    def calibrated(self, name: str) -> Runtime:
        """Return it as it is calibrated."""
        return hops.of(name, {}, cached=self.settings.cached)


def tracing(now: state.Context) -> Tracing:
    """Return what the URL asks to look at; what its way weighs most for where it names none."""
    run_id, asked = now.run_id or "", state.traced()
    settings = settings_of(run_id)
    ids = busiest(str(state.home()), run_id) if run_id else ()
    wanted = asked.get("function", "")
    known = _functions(settings.model_dump_json(), now.seed)
    named = wanted if wanted in ids or wanted == PAPER_ID else first(ids, known)
    function = known.get(named, PAPER)
    other = now.today if now.shown == "candidate" and now.candidate else None
    cores = settings.cores if function is not PAPER else PAPER_CORES
    plain = hops.of("containerd", {})
    rate = called_per_s(str(state.home()), run_id, function.id) if function is not PAPER else 0.5 * cores / hops.cpu_s(plain, function)
    warm = warm_instances(str(state.home()), run_id, function.id) if function is not PAPER else max(1.0, rate * function.run_median_s)
    return Tracing(now, run_id, other, settings, ids, function, cores, rate, warm, hops.parse(asked.get("hops", "")))


def first(ids: tuple[str, ...], known: Mapping[str, Function]) -> str:
    """Return which function the page opens on: of the busiest the one with the least work of its own, whose way weighs most."""
    near = [known[name] for name in ids[:_NEAR] if name in known]
    return min(near, key=lambda each: each.run_median_s).id if near else PAPER_ID


def settings_of(run_id: str) -> Settings:
    """Return the functions of a run's scenario; none where it has none or nothing was run."""
    written: Any = (state.run(run_id).manifest["scenario"].get("functions") or {}) if run_id else {}
    # Scenarios of former versions named functions without saying what they do.
    return Settings.model_validate(dict(written)) if isinstance(written, Mapping) else Settings()


@lru_cache(maxsize=16)
def _functions(settings_json: str, seed: int) -> dict[str, Function]:
    from twin.functions.demand import generated

    settings = Settings.model_validate_json(settings_json)
    drawn = generated(settings.generated, settings.generated_rate_per_s, seed) if settings.generated else ()
    return {each.id: each for each in (*settings.functions, *drawn, PAPER)}


def runtime_of(run_id: str | None) -> str:
    """Return under which runtime a run's functions ran, as its policy says."""
    if not run_id:
        return RUNTIMES[0]
    schedule = state.run(run_id).manifest.get("schedule") or [{}]
    held = schedule[0].get("policy", {}).get("function_runtime") or [{}]
    return str(held[0].get("system") or RUNTIMES[0])


# -- tables -------------------------------------------------------------------------


def _rows(home: str, run_id: str, name: str, function_id: str = "") -> pl.LazyFrame | None:
    """Return a table of a run, unread, of one function where one is named; None where the run has none.

    Paths and latencies of thousands of functions are more than a page reads whole.
    """
    del home
    found = state.run(run_id).tables.get(name)
    if found is None or not function_id:
        return found
    return found.filter(pl.col("function_id").cast(pl.String) == function_id)


@lru_cache(maxsize=16)
def summary(home: str, run_id: str) -> pl.DataFrame:
    """Return a row per function of a run, those called most first: calls, calls a second, cold starts, instances, core time of a call."""
    rows = _rows(home, run_id, "functions")
    if rows is None:
        return pl.DataFrame()
    covered_s = float(rows.select("t_s", "window_s").unique().select(pl.col("window_s").sum()).collect().item() or 0.0)
    found = (
        rows.group_by(pl.col("function_id").cast(pl.String))
        .agg(
            pl.col("arrived").sum(),
            pl.col("cold_starts").sum(),
            (pl.col("instances") * pl.col("window_s")).sum() / covered_s,
            pl.col("cpu_mean_s").mean(),
        )
        .with_columns((pl.col("arrived") / covered_s).alias("arrived_per_s"))
        .sort("arrived", "function_id", descending=[True, False])
    )
    return found.collect() if covered_s else pl.DataFrame()


def busiest(home: str, run_id: str) -> tuple[str, ...]:
    """Return the functions of a run that can be chosen, those called most first."""
    found = summary(home, run_id)
    return () if found.is_empty() else tuple(found["function_id"].head(LISTED).to_list())


def called_per_s(home: str, run_id: str, function_id: str) -> float:
    """Return how often a function was called in a run, on average; 0 where it was not."""
    mine = summary(home, run_id).filter(pl.col("function_id") == function_id) if run_id else pl.DataFrame()
    return float(mine["arrived_per_s"][0]) if len(mine) else 0.0


def warm_instances(home: str, run_id: str, function_id: str) -> float:
    """Return how many instances of a function were warm in a run, on average; 0 where none was."""
    mine = summary(home, run_id).filter(pl.col("function_id") == function_id) if run_id else pl.DataFrame()
    return float(mine["instances"][0]) if len(mine) else 0.0


@lru_cache(maxsize=64)
def recorded_path(home: str, run_id: str, function_id: str) -> Mapping[str, Mapping[str, float]]:
    """Return what calls of a function took in a run, by segment: ``mean`` of all and ``tail`` of the slowest hundredth of each window.

    Windows count by the calls that were answered in them; empty where none was.
    """
    path, calls = (_rows(home, run_id, name, function_id) for name in ("function_path", "functions"))
    if path is None or calls is None:
        return {}
    mine = path.join(calls.select("t_s", "completed"), on="t_s", how="inner").collect()
    if not mine["completed"].sum():
        return {}
    whole = mine.group_by("segment").agg(
        *((pl.col(column) * pl.col("completed")).sum() / pl.col("completed").sum() for column in ("mean_s", "tail_mean_s"))
    )
    by_name = {str(name): (mean, tail) for name, mean, tail in whole.iter_rows()}
    return {
        what: {name: float(by_name.get(name, (0.0, 0.0))[place] or 0.0) for name in SEGMENTS} for place, what in enumerate(("mean", "tail"))
    }


@lru_cache(maxsize=64)
def bins(home: str, run_id: str, function_id: str) -> pl.DataFrame:
    """Return the latencies of a function in a run: ``low_s`` and ``calls`` of its bins."""
    rows = _rows(home, run_id, "function_latency", function_id)
    if rows is None:
        return pl.DataFrame(schema={"low_s": pl.Float64, "calls": pl.Int64})
    return rows.group_by("low_s").agg(pl.col("calls").sum()).sort("low_s").collect()


@lru_cache(maxsize=16)
def hosts(home: str, run_id: str) -> pl.DataFrame:
    """Return all hosts of functions together, a row per window: cores, busy, spinning, memory, and the calls a second that could be."""
    rows, calls = (_rows(home, run_id, name) for name in ("function_hosts", "functions"))
    if rows is None or calls is None:
        return pl.DataFrame()
    sums = ("busy_cores", "polling_cores", "cores", "saturation_per_s", "instances_bytes")
    whole = rows.group_by("t_s", "window_s").agg(*(pl.col(name).sum() for name in sums)).sort("t_s").collect()
    came = calls.group_by("t_s").agg(pl.col("arrived").sum(), pl.col("cold_starts").sum()).collect()
    return whole.join(came, on="t_s", how="left").with_columns(
        (pl.col("arrived").fill_null(0) / pl.col("window_s")).alias("arrived_per_s"), pl.col("cold_starts").fill_null(0)
    )


def metric(run_id: str | None, name: str, function_id: str = "", window: Window | None = None) -> float | None:
    """Return a metric of a run's functions, of one or of all."""
    scope = (Scope("function", function_id),) if function_id else ()
    return state.metric(run_id, f"functions.{name}", scope, window)


# -- what is worked out --------------------------------------------------------------


def alone(trace: Tracing, runtime: Runtime) -> Answer:
    """Return what calls take under a runtime where nobody waits; at once where it is ready within a blink."""
    function = trace.function
    return later.ask("alone", (runtime, function), lambda: hops.alone(runtime, function), wait_s=later.BLINK_S)


def spread(slow: Answer, fast: Answer) -> Answer:
    """Return between which cuts of the 99th percentile a comparison of a hundred calls may end."""
    if slow.value is None or fast.value is None:
        return slow if slow.value is None else fast
    return later.ask("spread", (slow.key, fast.key), lambda: hops.published_spread(slow.value, fast.value), wait_s=later.BLINK_S)
