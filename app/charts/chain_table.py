"""Who did what in a chain: notices by workload, answers, leads, returns."""

from typing import Any

import polars as pl

from app.charts.chains import answer_of, noun
from app.charts.statements import plainly


def table(chain: pl.DataFrame, notices: pl.DataFrame) -> list[dict[str, Any]]:
    """Return a row a workload and kind of notice of a chain: ``workload_id``, ``notice``, ``answer``, ``done``, ``lead_s``, ``returned_w``.

    ``notices`` are the rows of the notices table that belong to the chain's messages; leads are the shortest of those whose event took
    place. What was returned comes from the messages of what was done, where they say so.
    """
    told = chain.filter(pl.col("kind") == "notice").sort("t_s", "message_id")
    out: list[dict[str, Any]] = []
    for (workload, name), group in told.group_by("workload_id", "name", maintain_order=True):
        ids = group["message_id"].to_list()
        mine = notices.filter(pl.col("message_id").is_in(ids)) if not notices.is_empty() else notices
        later = chain.filter((pl.col("workload_id") == workload) & (pl.col("t_s") >= float(group["t_s"][0])))
        out.append(
            {
                "workload_id": str(workload),
                "notice": noun(str(name)),
                "vms": int(group["vms"].sum()),
                **_answered(later.filter(pl.col("kind") == "answer"), mine),
                **_done(later.filter(pl.col("kind") == "action"), mine),
            }
        )
    return out


def _answered(answers: pl.DataFrame, notices: pl.DataFrame) -> dict[str, Any]:
    if not notices.is_empty():
        counted = dict(notices.group_by("answer").len().iter_rows())
    else:
        counted = {}
        for row in answers.iter_rows(named=True):
            word = answer_of(row["value"], row["name"])
            counted[word] = counted.get(word, 0) + int(row["vms"])
    found = [(word, counted[word]) for word in ("accepted", "declined", "ignored") if counted.get(word)]
    words = found[0][0] if len(found) == 1 else ", ".join(f"{number} {word}" for word, number in found)
    return {"answer": words or "open", "answer_first": found[0][0] if found else "open"}


def _done(actions: pl.DataFrame, notices: pl.DataFrame) -> dict[str, Any]:
    said = list(dict.fromkeys(plainly(str(one)) for one in actions["words"].to_list() if one))
    words = said[0] if len(said) == 1 else _by_name(actions)
    if not words and not notices.is_empty():
        ended = dict(notices.group_by("outcome").len().iter_rows())
        words = ", ".join(f"{number} {word}" for word, number in sorted(ended.items()))
    values = actions["value"].fill_nan(None).drop_nulls() if not actions.is_empty() else pl.Series([], dtype=pl.Float64)
    happened = notices.filter(pl.col("outcome") == "done") if not notices.is_empty() else notices
    lead = None if happened.is_empty() else (happened["event_s"] - happened["reached_s"]).min()
    return {
        "done": words or "nothing",
        "lead_s": None if lead is None else float(lead),  # type: ignore[arg-type]
        "returned": float(values.sum()) if len(values) else None,
    }


def _by_name(actions: pl.DataFrame) -> str:
    """Return how many VMs each kind of action was done to."""
    summed = actions.group_by("name", maintain_order=True).agg(pl.col("vms").sum())
    return ", ".join(f"{vms} {noun(name)}" for name, vms in summed.iter_rows())
