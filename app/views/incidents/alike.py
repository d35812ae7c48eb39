"""Panel of past incidents like this one: their cause, what was checked."""

from typing import Any, Final

import polars as pl

from app import cases, parts, state
from app.charts.quantity import grouped
from app.charts.statements import count
from app.views.incidents import reading
from app.views.incidents.reading import Looking
from app.views.workloads.lanes import note
from app.widgets.rows import Head, rows
from twin.store.investigations import Moment

TOOL: Final = "history_search"
_SHOWN: Final = 5
_HEADS: Final = (
    Head("what", "It said", "words", "38%"),
    Head("cause", "It was", "words", "24%"),
    Head("checked", "What was checked", "muted", "auto"),
    Head("like", "Alike", "value", "56px"),
)


def alike(look: Looking) -> None:
    """List resolved incidents that are like this one, the nearest first."""
    if look.moment is None:
        return
    found = nearest(look.moment)
    with parts.panel(title(found), "incidents-alike", data=found, sql=_sql(look.moment)):
        if found.is_empty():
            note("Nobody looked for similar incidents, or there are none that were resolved before this one began.")
            return
        rows(_HEADS, [_row(row) for row in found.head(_SHOWN).iter_rows(named=True)], state.colours(), key="incidents-alike-rows")
        basis = look.shown.basis if look.shown else {}
        kinds = {"generated": "packaged, simulated", "imported": "imported", "operators": "told by operators"}
        counts = {words: basis.get(f"history_{kind}", 0) for kind, words in kinds.items()}
        known = [f"{grouped(many)} {words}" for words, many in counts.items() if many]
        how = f" Compared by {basis['similar']}." if basis.get("similar") else ""
        note(f"Of resolved incidents: {', '.join(known)}.{how}" if known else how.strip())


def nearest(moment: Moment) -> pl.DataFrame:
    """Return the similar incidents that a moment's searches found, each once, the nearest first."""
    frames = [reading.rows_of(each) for each in moment.evidence if each.tool == TOOL and each.ok and each.rows]
    if not frames:
        return pl.DataFrame(schema={"incident_id": pl.String, "similarity": pl.Float64})
    every = pl.concat(frames, how="diagonal_relaxed")
    return every.sort("similarity", descending=True, nulls_last=True, maintain_order=True).unique("incident_id", maintain_order=True)


def _sql(moment: Moment) -> str:
    return next((each.sql for each in moment.evidence if each.tool == TOOL and each.ok), "")


def _row(row: dict[str, Any]) -> dict[str, Any]:
    like = row.get("similarity")
    return {
        "what": {"lead": str(row["incident_id"]), "text": str(row.get("title") or row.get("text") or "")},
        "cause": cases.titled(str(row.get("cause") or "not known")),
        "checked": str(row.get("checked") or "–")[:240],
        "like": "–" if like is None else f"{like:.2f}",
    }


def title(found: pl.DataFrame) -> str:
    """Return how many of the nearest had which cause."""
    near = found.head(_SHOWN)
    if near.is_empty() or "cause" not in near.columns:
        return "No similar incident is known"
    causes = near["cause"].drop_nulls()
    if causes.is_empty():
        return "What similar incidents were is not known"
    cause, many = causes.value_counts(sort=True).sort("count", "cause", descending=[True, False]).row(0)
    return f"{many} of the {count(near.height, 'nearest incident')} {'was' if many == 1 else 'were'}: {cases.titled(cause)}"
