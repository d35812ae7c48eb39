"""Budgets of an imported fleet held against what stands in it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.fleet import GPUS_PER_SERVER, Fleet

# A budget of so many times what a row's machines can draw is a slip of the unit, or a row that is to grow: told, not refused.
_AMPLE: Final = 20.0


def check(file: str, fleet: Fleet) -> tuple[str, ...]:
    """Return what is worth knowing about a fleet's power budgets.

    ValueError, one line, for a row or a site whose machines draw more than the budget while they idle: nothing could run there,
    and most likely the figure is in kW.
    """
    idle_w, most_w = _draws(fleet)
    for row in np.flatnonzero(fleet.row_power_budgets_w < idle_w):
        raise ValueError(_too_little(file, f"row {fleet.row_ids[row]}", float(fleet.row_power_budgets_w[row]), float(idle_w[row])))
    if fleet.site_power_budget_w < idle_w.sum():
        raise ValueError(_too_little(file, "the site", fleet.site_power_budget_w, float(idle_w.sum())))
    ample = np.flatnonzero(fleet.row_power_budgets_w > _AMPLE * np.maximum(most_w, 1.0))
    return tuple(
        f"row {fleet.row_ids[row]} may draw {fleet.row_power_budgets_w[row] / 1e3:,.0f} kW, and what stands there at most "
        f"{most_w[row] / 1e3:,.0f} kW; budgets are in watts"
        for row in ample[:3]
    )


def _too_little(file: str, what: str, budget_w: float, idle_w: float) -> str:
    return f"{file}: {what} may draw {budget_w:,.0f} W, and its machines draw {idle_w:,.0f} W while they idle; write the budget in watts"


def _draws(fleet: Fleet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what each row's machines draw idle and at most, W, shape R."""
    from twin.plant.hardware import host_model, server_models  # the other kinds must not wait for the plant

    model, rows = server_models(fleet)[fleet.server_models], len(fleet.row_ids)
    host_idle_w, host_max_w, _ = host_model()
    least = model["base_w"] + GPUS_PER_SERVER * model["idle_w"]
    most = model["base_w"] + model["base_load_w"] + model["fan_max_w"] + GPUS_PER_SERVER * model["tdp_w"]
    hosts = np.bincount(fleet.rack_rows[fleet.host_racks], minlength=rows)
    found = (np.bincount(fleet.server_rows, weights=watts, minlength=rows) for watts in (least, most))
    return tuple(by_row + hosts * each for by_row, each in zip(found, (host_idle_w, host_max_w), strict=True))  # type: ignore[return-value]
