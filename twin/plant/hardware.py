"""Server and host models as records: every coefficient of the calibration."""

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.fleet import Fleet
from twin.sources import calibration

Record = Any  # one element of a structured array: attribute access in Python and inside kernels alike
Quantity = Any  # a float inside kernels, a float or an array of one shape in plans

_HOST_FIELDS: Final = ("idle_w", "max_w", "airflow_max_m3_per_s")


def server_models(fleet: Fleet | None = None) -> NDArray[Any]:
    """Return one record per server model, in the order of ``Fleet.model_names``; field names are the calibration's keys.

    Without a fleet they are the calibrated ones; models of a fleet's own follow those.
    """
    known = _calibrated()
    if fleet is None or not fleet.own_models:
        return known
    own = np.zeros(len(fleet.own_models), dtype=known.dtype)
    for index, figures in enumerate(fleet.own_models):
        for name in known.dtype.names or ():
            own[name][index] = figures[name]
    models = np.concatenate([known, own]).view(np.recarray)
    models.flags.writeable = False
    return models


@cache
def _calibrated() -> NDArray[Any]:
    tables = calibration("hardware")["server"]
    names = tuple(next(iter(tables.values())))
    models = np.zeros(len(tables), dtype=[(name, np.float64) for name in names]).view(np.recarray)
    for index, table in enumerate(tables.values()):
        for name in names:
            models[name][index] = table[name]["value"]
    models.flags.writeable = False
    return models


def server_model(name: str) -> Record:
    """Return the record of one server model, such as ``h100``."""
    known = tuple(calibration("hardware")["server"])
    if name not in known:
        raise ValueError(f"server model {name!r} is unknown; it is one of {', '.join(known)}")
    return server_models()[known.index(name)]


def host_model() -> tuple[float, float, float]:
    """Return idle power, full power (W) and full airflow (m3/s) of a CPU host."""
    table = calibration("hardware")["host"]["cpu-host"]
    idle_w, max_w, airflow = (float(table[name]["value"]) for name in _HOST_FIELDS)
    return idle_w, max_w, airflow
