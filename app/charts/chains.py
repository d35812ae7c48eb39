"""Chains of messages: from a cause over notices and answers to effects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from app.charts.statements import count, plainly
from twin.units import show

KINDS: Final = ("event", "hint", "notice", "answer", "action", "effect")
ANSWERS: Final = ("open", "accepted", "declined", "ignored")
# What a page opens on where nobody has chosen: what was urgent, then what tells the most of a story.
_URGENT: Final[Mapping[str, int]] = {"power_emergency": 3, "capacity_short": 2, "maintenance": 1, "region": 1}
# An effect in seconds of work, where the others are in watts or cores.
_LOST: Final = "work_lost"
_TELLING: Final = ("effect", "action", "notice", "answer", "event")
# A cause that is longer ago than this has lasted: what is told is how long its newest notices took.
_SOON_S: Final = 600.0
_NOUNS: Final[Mapping[str, str]] = {
    "eviction": "eviction",
    "scale_up_offer": "offer of more cores",
    "scale_down_request": "scale-down request",
    "overclock_offer": "overclock offer",
    "overclock_end": "end of overclocking",
    "underclock_notice": "lower clock",
    "maintenance": "maintenance",
    "power_emergency": "power emergency",
    "region_move_offer": "offer to move region",
    "rightsize_recommendation": "smaller size advised",
    "price_change": "price change",
    "capacity_short": "capacity short",
    "offers": "offers",
    "region": "other regions",
    "hint": "hints changed",
    "clocked": "clock changed",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One of the five dots of a chain: when, what, and a line under it; ``t_s`` None where there was none."""

    kind: str
    t_s: float | None
    title: str
    under: str


def noun(name: str) -> str:
    """Return a notice, a hint key or an event as people say it.

    >>> noun("scale_down_request"), noun("vm_priority")
    ('scale-down request', 'vm priority')
    """
    return _NOUNS.get(name, name.replace("_", " "))


def answer_of(value: float | None, name: str) -> str:
    """Return what an answer says, by its number or, where it has none, by its name.

    >>> answer_of(2.0, "eviction"), answer_of(None, "ignored")
    ('declined', 'ignored')
    """
    if name in ANSWERS:
        return name
    number = -1 if value is None or value != value else int(value)
    return ANSWERS[number] if 0 <= number < len(ANSWERS) else "open"


def summary(messages: pl.DataFrame) -> pl.DataFrame:
    """Return a row a chain: ``chain_id``, ``t_s``, ``end_s``, ``name``, ``place_id``, ``words`` (of its first message), ``weight``.

    ``weight`` counts the kinds of messages in it, hints left out: a chain of one hint weighs nothing. ``urgent`` is higher the less
    a cause can wait; ``value`` is the sum of what was measured to come back: watts after a power emergency, else cores.
    """
    if messages.is_empty():
        return pl.DataFrame()
    whole = messages.sort("t_s", "message_id").group_by("chain_id", maintain_order=True)
    kinds = pl.col("kind").filter(pl.col("kind").is_in(_TELLING)).n_unique().alias("weight")
    firsts = [pl.col(name).first() for name in ("t_s", "kind", "name", "words")]
    place = pl.col("place_id").filter(pl.col("place_id") != "").first().fill_null("")
    reach = pl.col("t_s").max().alias("end_s")
    watts = pl.col("value").filter(pl.col("kind") == "effect", pl.col("name") != _LOST).fill_nan(None).sum().alias("value")
    urgent = pl.col("name").replace_strict(_URGENT, default=0, return_dtype=pl.Int64).alias("urgent")
    return whole.agg(*firsts, place, reach, kinds, watts, pl.col("vms").max()).with_columns(urgent)


def telling(chains: pl.DataFrame) -> pl.DataFrame:
    """Return the chains worth going to: those that could not wait and led to something; where there is none, all that led to something."""
    if chains.is_empty():
        return chains
    led = chains.filter(pl.col("weight") > 1)
    urgent = led.filter(pl.col("urgent") > 0)
    return led if urgent.is_empty() else urgent


def nearest(chains: pl.DataFrame, heard: pl.Series, at_s: float) -> int | None:
    """Return the chain to open: the most urgent, then most telling one of those ``heard``, else the nearest one; None without any."""
    if chains.is_empty():
        return None
    inside = chains.filter(pl.col("weight") > 1, pl.col("chain_id").is_in(heard.implode()))
    if not inside.is_empty():
        best = inside.sort("urgent", "weight", "value", "vms", descending=True, maintain_order=True)
        return int(best["chain_id"][0])
    found = telling(chains)
    if found.is_empty():
        return None
    return int(found.sort((pl.col("t_s") - at_s).abs(), maintain_order=True)["chain_id"][0])


def beside(chains: pl.DataFrame, t_s: float, chain_id: int | None) -> tuple[int | None, int | None]:
    """Return the telling chains before and after a chain, or before and after a moment where there is none."""
    found = telling(chains)
    if found.is_empty():
        return None, None
    mine = chains.filter(pl.col("chain_id") == (-1 if chain_id is None else chain_id))
    key = (t_s, -1) if mine.is_empty() else (float(mine["t_s"][0]), int(mine["chain_id"][0]))
    order = sorted(zip(found["t_s"].to_list(), found["chain_id"].to_list(), strict=True))
    before, after = [one for one in order if one < key], [one for one in order if one > key]
    return (before[-1][1] if before else None), (after[0][1] if after else None)


def episode(chain: pl.DataFrame, window: tuple[float, float]) -> pl.DataFrame:
    """Return what of a chain is told at once: all of it, or, of one that lasts longer than the window, its cause and what lies in there."""
    if chain.is_empty() or float(chain["t_s"][-1]) - float(chain["t_s"][0]) <= window[1] - window[0]:
        return chain
    inside = chain.filter(pl.col("t_s").is_between(*window) | (pl.col("message_id") == chain["message_id"][0]))
    return chain if len(inside) < 2 else inside


def steps(chain: pl.DataFrame) -> list[Step]:
    """Return the five dots of a chain of messages: cause, notices, answers, what was done, what it brought."""
    by = {kind: chain.filter(pl.col("kind") == kind).sort("t_s", "message_id") for kind in KINDS}
    cause = chain.sort("t_s", "message_id").head(1)
    return [_cause(cause), _notices(by["notice"]), _answers(by["answer"]), _actions(by["action"]), _effect(by["effect"])]


def _cause(first: pl.DataFrame) -> Step:
    if first.is_empty():
        return Step("event", None, "No cause", "")
    row = first.row(0, named=True)
    return Step("event", float(row["t_s"]), _up(noun(row["name"])), plainly(str(row["words"])))


def _notices(found: pl.DataFrame) -> Step:
    if found.is_empty():
        return Step("notice", None, "No notice", "nobody had to be told")
    reach = float((found["reached_s"] - found["t_s"]).max() or 0.0)  # type: ignore[arg-type]
    vms = int(found["vms"].sum())
    return Step("notice", float(found["t_s"][0]), _up(count(len(found), "notice")), f"{show(reach, 'x_s')} to reach {count(vms, 'VM')}")


def _answers(found: pl.DataFrame) -> Step:
    if found.is_empty():
        return Step("answer", None, "No answers", "none was given")
    said = [answer_of(row["value"], row["name"]) for row in found.iter_rows(named=True)]
    vms = found["vms"].to_list()
    sums = {word: sum(number for one, number in zip(said, vms, strict=True) if one == word) for word in ANSWERS}
    words = [f"{sums[word]} {short}" for word, short in (("accepted", "yes"), ("declined", "no"), ("ignored", "silent")) if sums[word]]
    return Step("answer", float(found["t_s"][0]), "Answers", ", ".join(words) or "open")


def _actions(found: pl.DataFrame) -> Step:
    if found.is_empty():
        return Step("action", None, "Nothing done", "it was withdrawn or declined")
    names = list(dict.fromkeys(noun(name) for name in found["name"].to_list()))
    vms = int(found["vms"].sum())
    return Step("action", float(found["t_s"][0]), _up(names[0] if len(names) == 1 else f"{len(names)} kinds of action"), count(vms, "VM"))


def _effect(found: pl.DataFrame) -> Step:
    if found.is_empty():
        return Step("effect", None, "No effect measured", "")
    lost = found.filter(pl.col("name") == _LOST)
    back = found.filter(pl.col("name") != _LOST)
    told = back if len(back) else lost
    row, values = told.row(-1, named=True), told["value"].fill_nan(0.0)
    under = plainly(str(row["words"])) if len(told) == 1 else f"measured {len(told)} times"
    most = "core" in str(row["name"]) and float(row["t_s"]) - float(told["t_s"][0]) > _SOON_S
    # The same cores come back again and again over the day: their sum would be more than there are.
    value = float(values.max() or 0.0) if most else float(values.sum())  # type: ignore[arg-type]
    head = effect_words({**row, "value": value})
    if len(back) and len(lost):
        under += f"; {effect_words({**lost.row(-1, named=True), 'value': float(lost['value'].fill_nan(0.0).sum())})}"
    return Step("effect", float(row["t_s"]), f"Up to {head}" if most else _up(head), under)


def effect_words(row: Mapping[str, Any]) -> str:
    """Return what an effect brought: watts where it is about power, cores where about room, time where about lost work; else its name."""
    value = row["value"]
    if value is None or value != value:
        return noun(str(row["name"]))
    if "core" in str(row["name"]):
        return f"{value:,.0f} cores back".replace(",", "\u00a0")
    if row["name"] == _LOST:
        return f"{show(float(value), 'x_s')} of work lost"
    return f"{show(abs(float(value)), 'x_w')} {'back' if value >= 0 else 'more'}"


def title(chain: pl.DataFrame) -> str:
    """Return what a chain led from and to, and how long that took."""
    dots = steps(chain)
    notices, effect = dots[1], dots[4]
    if effect.t_s is not None and notices.t_s is not None and dots[0].t_s is not None:
        took = show(effect.t_s - (dots[0].t_s if notices.t_s - dots[0].t_s < _SOON_S else notices.t_s), "x_s")
        return f"From cause to effect: {notices.title.lower()} brought {_down(effect.title)} in {took}"
    if notices.t_s is not None:
        return f"{dots[0].title}: {notices.title.lower()}, {dots[2].under or 'no answer'}; {dots[3].title.lower()}"
    return f"{dots[0].title}, and nothing followed"


def kept(messages: pl.DataFrame, kinds: Sequence[str], workload: str, answer: str) -> pl.DataFrame:
    """Return the messages that a filter lets through: of these kinds, of one workload (all where empty), of chains with this answer."""
    found = messages
    if kinds:
        found = found.filter(pl.col("kind").is_in(kinds))
    if workload:
        found = found.filter((pl.col("workload_id") == workload) | (pl.col("workload_id") == ""))
    if answer:
        mine = messages.filter(pl.col("kind") == "answer")
        said = pl.Series([answer_of(value, name) for value, name in mine.select("value", "name").iter_rows()], dtype=pl.String)
        chains = mine.filter(said == answer)["chain_id"].unique()
        found = found.filter(pl.col("chain_id").is_in(chains.implode()))
    return found


def _up(words: str) -> str:
    return words[:1].upper() + words[1:]


def _down(words: str) -> str:
    return words[:1].lower() + words[1:]
