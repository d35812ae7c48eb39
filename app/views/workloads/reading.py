"""What a run's tables say of the negotiation, read once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import polars as pl

from app import state
from app.charts import chains as story
from twin.workloads.negotiation.classes import WorkloadClass

_TEXT: Final = (pl.Categorical, pl.Enum)
SPANS: Final[Mapping[str, float]] = {"10 min": 600.0, "30 min": 1800.0, "2 h": 7200.0, "12 h": 43_200.0}
SPAN: Final = "10 min"
EVERYTHING: Final = "everything"
# What a filter lets through, by its name.
SAID: Final[Mapping[str, tuple[str, ...]]] = {
    EVERYTHING: (),
    "without hints": ("event", "notice", "answer", "action", "effect"),
    "hints": ("hint",),
    "notices and answers": ("notice", "answer"),
    "events and effects": ("event", "action", "effect"),
}
ANSWERS: Final = ("accepted", "declined", "ignored")


def negotiates(run_id: str) -> bool:
    """Return whether any workload of a run negotiates, or did."""
    return bool(tenants(run_id)) or not table(run_id, "bills").is_empty()


def settings(run_id: str) -> Mapping[str, Any]:
    """Return what a run's scenario says of the negotiation; empty where it says nothing."""
    found: Mapping[str, Any] = (state.run(run_id).manifest["scenario"].get("workloads") or {}).get("negotiation") or {}
    return found


def tenants(run_id: str) -> list[Mapping[str, Any]]:
    """Return the workloads that negotiate, as the scenario writes them."""
    return list(settings(run_id).get("tenants") or ())


def class_ids(run_id: str) -> list[str]:
    """Return the classes that a run's tenants may be of."""
    from twin.workloads.negotiation.classes import named

    return list(named(settings(run_id).get("classes", "survey")))


def class_of(run_id: str, tenant: Mapping[str, Any]) -> WorkloadClass:
    """Return the class of a workload that a scenario names."""
    from app import hint_edits
    from twin.workloads.negotiation.classes import named

    return named(settings(run_id).get("classes", "survey"))[hint_edits.of(tenant)[0]]


def table(run_id: str, name: str) -> pl.DataFrame:
    """Return a table of the negotiation with its names as plain text; empty where the run has none."""
    return _table(str(state.home()), run_id, name)


@lru_cache(maxsize=32)
def _table(home: str, run_id: str, name: str) -> pl.DataFrame:
    frame = state.table(run_id, name)
    coded = [column for column, dtype in frame.schema.items() if isinstance(dtype, _TEXT) or dtype in _TEXT]
    return frame.with_columns(pl.col(coded).cast(pl.String)) if coded else frame


@lru_cache(maxsize=16)
def chains(home: str, run_id: str) -> pl.DataFrame:
    """Return the chains of a run, a row each."""
    return story.summary(_table(home, run_id, "messages"))


@dataclass(frozen=True, slots=True)
class Listening:
    """What the page listens to: the shown run, the one beside it, the window, the chain, and what the filter lets through."""

    now: state.Context
    home: str
    run_id: str
    other: str | None
    window: tuple[float, float]
    chain: int | None
    said: str
    whose: str
    answer: str

    @property
    def span_s(self) -> tuple[float, float]:
        """Return from when to when the run is."""
        brief = state.run(self.run_id).brief
        return brief.begin_s, brief.end_s


def listening(now: state.Context) -> Listening:
    """Return what the URL asks to listen to; the chain that it names where it is in the window, else the most telling one near it."""
    run_id, asked = now.run_id or "", state.listened()
    home, brief = str(state.home()), state.run(run_id).brief
    length = SPANS.get(asked.get("span", ""), SPANS[SPAN])
    window = window_of(now.t_s, length, (brief.begin_s, brief.end_s))
    found = chains(home, run_id)
    wanted = int(asked["chain"]) if asked.get("chain", "").isdigit() else None
    inside = within(home, run_id, window)
    heard = pl.Series([], dtype=pl.Int64) if inside.is_empty() else inside["chain_id"].unique()
    if wanted is None or wanted not in heard:
        wanted = story.nearest(found, heard, now.t_s)
    other = now.today if now.shown == "candidate" and now.candidate else None
    whose = asked.get("whose", "")
    known = workloads(home, run_id)
    said, answer = asked.get("said", ""), asked.get("answer", "")
    kinds = said if said in SAID else EVERYTHING
    return Listening(now, home, run_id, other, window, wanted, kinds, whose if whose in known else "", answer if answer in ANSWERS else "")


def window_of(t_s: float, length_s: float, span: tuple[float, float]) -> tuple[float, float]:
    """Return the part of a run around a moment: a quarter of it before, the rest after, as far as the run goes.

    >>> window_of(3600.0, 600.0, (0.0, 86400.0)), window_of(86400.0, 600.0, (0.0, 86400.0))
    ((3450.0, 4050.0), (85800.0, 86400.0))
    """
    length = min(length_s, span[1] - span[0])
    begin = min(max(t_s - length / 4, span[0]), span[1] - length)
    return begin, begin + length


@lru_cache(maxsize=16)
def workloads(home: str, run_id: str) -> tuple[str, ...]:
    """Return who negotiates, in the order of the scenario; those that only the tables know come after."""
    named = [str(each["id"]) for each in tenants(run_id)]
    bills = _table(home, run_id, "bills")
    return tuple(dict.fromkeys([*named, *([] if bills.is_empty() else bills["workload_id"].unique(maintain_order=True).to_list())]))


@lru_cache(maxsize=64)
def within(home: str, run_id: str, window: tuple[float, float]) -> pl.DataFrame:
    """Return the messages of a window."""
    messages = _table(home, run_id, "messages")
    if messages.is_empty():
        return messages
    return messages.filter(pl.col("t_s").is_between(*window))


@lru_cache(maxsize=64)
def chain(home: str, run_id: str, chain_id: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the messages of a chain, and the rows of the notices table that belong to them."""
    messages = _table(home, run_id, "messages").filter(pl.col("chain_id") == chain_id).sort("t_s", "message_id")
    notices = _table(home, run_id, "notices")
    if notices.is_empty():
        return messages, notices
    return messages, notices.filter(pl.col("message_id").is_in(messages["message_id"].implode()))


@lru_cache(maxsize=64)
def bill(home: str, run_id: str, whose: str = "") -> dict[str, float]:
    """Return the sums of the bills of a run, or of one workload in it, by column; empty where there are none."""
    bills = _table(home, run_id, "bills")
    mine = bills.filter(pl.col("workload_id") == whose) if whose and not bills.is_empty() else bills
    if mine.is_empty():
        return {}
    return {name: float(mine[name].sum()) for name in mine.columns if name.endswith(("_usd", "_hours", "_kg"))}


def cut_share(sums: Mapping[str, float]) -> float | None:
    """Return what is billed less than at the regular price, over that; None without bills."""
    regular = sums.get("regular_usd", 0.0)
    return (regular - sums["billed_usd"]) / regular if regular else None
