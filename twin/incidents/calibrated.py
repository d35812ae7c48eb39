"""Numbers of services and faults as the packaged calibration has them."""

from functools import cache

from twin.sources import calibration


@cache
def number(path: str) -> float:
    """Return one value of ``data/calibration/incidents.toml`` by its dotted path.

    >>> number("telemetry.noise_share")
    0.02
    """
    section, name = path.split(".")
    return float(calibration("incidents")[section][name]["value"])
