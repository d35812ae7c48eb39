"""Telemetry of entities and metrics, long or in PetShop's layout."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from twin.store import petshop

_ENTITY: Final = ("entity", "entity_id", "service", "host", "microservice")
_METRIC: Final = "metric"
_PETSHOP: Final = b"microservice,"


def sensor(entity: str, metric: str) -> str:
    """Return the name under which a metric of an entity is kept; a dot parts them, so that there is none in a metric's name.

    >>> sensor("db.prod", "services.latency_p99_s")
    'db.prod.services_latency_p99_s'
    """
    return f"{entity.strip()}.{metric.strip().replace('.', '_')}"


def columns(lower: Mapping[str, str]) -> tuple[str, str, str] | None:
    """Return the columns of entity, metric and value among a file's (by their lower-case names); None where there are not all three."""
    entity = next((lower[name] for name in _ENTITY if name in lower), None)
    return (entity, lower[_METRIC], lower["value"]) if entity is not None and _METRIC in lower and "value" in lower else None


def table(path: Path, raw: pl.DataFrame, names: tuple[str, str, str]) -> tuple[pl.DataFrame, list[str]]:
    """Return row, time_s, sensor and value (as it stands) of a long table of entities and metrics. ValueError for a row without a name."""
    for name in names[:2]:
        blank = raw.filter(pl.col(name).cast(pl.String).fill_null("").str.strip_chars() == "")
        if blank.height:
            raise ValueError(f"{path.name}: row {blank['row'][0]}, column {name}: is empty; write whose reading it is, and of what")
    pairs = raw.select(pl.col(name).cast(pl.String) for name in names[:2])
    kept = [sensor(entity, metric) for entity, metric in pairs.iter_rows()]
    found = raw.select("row", "time_s", pl.Series("sensor", kept), pl.col(names[2]).alias("value"))
    return found, _notes(found["sensor"].n_unique(), any("." in metric for metric in pairs[names[1]].unique()))


def of_petshop(path: Path) -> tuple[pl.DataFrame, list[str]] | None:
    """Return row, time_s, sensor and value of a file in PetShop's layout, stamped with the end of each sample; None for any other file."""
    with path.open("rb") as file:
        if file.read(len(_PETSHOP)) != _PETSHOP:
            return None
    told = petshop.metrics(path)
    count = len(told.t_s)
    found = pl.DataFrame(
        {
            "row": np.tile(np.arange(5, 5 + count), len(told.keys)),
            "time_s": np.tile(told.t_s, len(told.keys)),
            "sensor": [name for entity, metric in told.keys for name in [sensor(entity, metric)] * count],
            "value": told.values.T.ravel(),
        }
    )
    return found, ["in PetShop's layout", *_notes(len(told.keys), dots=False)]


def _notes(count: int, dots: bool) -> list[str]:
    return [f"{count:,} metrics of entities, in the units that they have", *(["dots in names of metrics are written _"] if dots else [])]
