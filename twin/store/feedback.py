"""What operators said of named causes, as labels and as history."""

from collections.abc import Iterable, Mapping
from typing import Final

import polars as pl

from twin.incidents import history
from twin.incidents.case import Incident
from twin.store.records import Verdict

COLUMNS: Final = pl.Schema(
    {
        "incident_id": pl.String,
        "run_id": pl.String,
        "predictor": pl.String,
        "predicted_cause": pl.String,
        "predicted_entity_id": pl.String,
        "confidence": pl.Float64,
        "right": pl.Boolean,
        "cause": pl.String,
        "entity_id": pl.String,
        "known": pl.Float64,
        "actor": pl.String,
    }
)


def labels(verdicts: Iterable[Verdict]) -> pl.DataFrame:
    """Return one row (columns ``COLUMNS``) per run, incident and predictor: what was said last, in order of ``known``.

    ``verdicts`` come oldest first, as the ledger gives them.
    """
    last = {(item.run_id, item.incident_id, item.predictor): item for item in verdicts}
    rows = [{name: getattr(item, name) for name in COLUMNS} for item in last.values()]
    return pl.DataFrame(rows, schema=COLUMNS).sort("known", "run_id", "incident_id", "predictor")


def history_with(told: pl.DataFrame, verdicts: Iterable[Verdict], incidents: Mapping[tuple[str, str], Incident], site: str) -> pl.DataFrame:
    """Return a history (columns of ``twin.incidents.case.HISTORY``) with the incidents whose causes people have named since.

    ``incidents`` gives them by run and id; of one that is not among them nothing is added, nor of one that is only known to have been
    something else. The last word on an incident holds, whichever predictor it was about. Ids are made those of their run, so that equal
    numbers of two runs do not meet.
    """
    last = {(item.run_id, item.incident_id): item for item in verdicts if item.cause}
    rows = [
        history.resolved_incident(incidents[key], site, item.known, item.cause, item.note, "").with_columns(
            incident_id=pl.lit(f"{item.run_id}/{item.incident_id}")
        )
        for key, item in last.items()
        if key in incidents and item.known > incidents[key].began
    ]
    return history.joined(told, pl.concat(rows)) if rows else told
