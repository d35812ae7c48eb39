"""Settings whose defaults are calibration entries, read when first needed."""

from typing import Any

from pydantic import Field

from twin.sources import calibration


def value_of(path: str) -> Any:
    """Return one value of ``data/calibration/plant.toml`` by its dotted path; lists become tuples.

    >>> value_of("throttling.brake_hold_s")
    30
    """
    entry: Any = calibration("plant")
    for key in path.split("."):
        entry = entry[key]
    value = entry["value"]
    return tuple(value) if isinstance(value, list) else value


def calibrated(path: str) -> Any:
    """Return a pydantic field whose default is a calibration entry, so that a run's manifest shows the number in force."""
    return Field(default_factory=lambda: value_of(path))
