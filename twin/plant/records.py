"""The arrays that a tick works on, and which of them are state."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Records = NDArray[Any]
Floats = NDArray[np.float64]
_F: Final = np.float64
_I: Final = np.int64

SERVER: Final = np.dtype(
    [(name, _I) for name in ("model", "rack", "row", "aisle")]
    + [
        (name, _F)
        for name in (
            "offset_c",
            "blocked_share",
            "load_share",
            "busy_share",
            "hottest_c",
            "fan_share",
            "airflow_m3_per_s",
            "power_w",
            "inlet_c",
            "off_s",
            # What its GPUs run at by themselves, whatever else is asked of them: 1 while they are sound.
            "own_clock_share",
        )
    ]
    + [(name, _F) for name in ("gpus_w", "tick_peak_c", "throttled_s", "edges", "owed_j")]
    + [
        (name, _F)
        for name in (
            "minute_inlet_c",
            "minute_gpu_c",
            "minute_j",
            "minute_air_s",
            "minute_clock_share",
            "minute_throttled_s",
            "minute_edges",
        )
    ]
)
RACK: Final = np.dtype(
    [("aisle", _I), ("row", _I)]
    + [
        (name, _F)
        for name in ("heat_w", "flow_w_per_c", "rise_c", "drawn_w", "power_w", "airflow_m3_per_s", "inlet_c", "air_c", "offset_c", "gpu_c")
    ]
    + [(name, _F) for name in ("part_inlet_c", "part_gpu_c", "part_j", "part_throttled_s", "throttled_s")]
    # What other devices in the rack draw while it has power, and the air that they take.
    + [("gpus", _F), ("devices_w", _F), ("devices_m3_per_s", _F)]
)
AISLE: Final = np.dtype(
    [(name, _F) for name in ("design_m3_per_s", "supply_offset_c", "air_share", "air_target_share", "demand_m3_per_s", "mixing_share")]
    + [(name, _F) for name in ("heat_w", "recirculated_w", "flow_w_per_c", "supply_c")]
    + [(name, _F) for name in ("part_airflow_m3_per_s", "part_mixing_share", "part_inlet_c")]
)
ROW: Final = np.dtype(
    [("pdu_a", _I), ("pdu_b", _I)]
    + [
        (name, _F)
        for name in ("rated_w", "budget_w", "power_w", "over_s", "hold_s", "brake_clock_share", "gpu_c", "throttled_share", "began", "gpus")
    ]
    # Graded caps: whether each of the two is on, and in how many seconds its order to turn acts.
    + [(name, _F) for name in ("live", "t1_on", "t1_order_s", "t2_on", "t2_order_s", "low_clock_share", "high_clock_share")]
)
# UPS units, then PDUs.
FEED: Final = np.dtype(
    [(name, _F) for name in ("rated_w", "lost_share", "live", "power_w", "spent_share", "tripped_s", "part_power_w")]
    # What the rows' budgets ask of it as things are wired now, and how much of that it was built to carry (at most 1).
    + [(name, _F) for name in ("asked_w", "built_share")],
)
HOST: Final = np.dtype([("rack", _I), ("row", _I), ("aisle", _I)])
SITE_STATE: Final = (
    *("it_power_w", "site_power_w", "pue", "supply_c", "water_l_per_s", "free_share", "minute_s", "part_s"),
    *("room_rise_c", "coolant_c", "liquid_w", "removed_w", "cooling_power_w", "partial_pue"),
)


class Gpus(NamedTuple):
    """One array per quantity, shape G: the inner loops run over GPUs, and the machine takes several at a time this way."""

    offset_c: Floats
    sink_c: Floats
    die_c: Floats
    temp_c: Floats
    thermal_clock_share: Floats
    clock_share: Floats
    power_w: Floats
    peak_c: Floats
    held_clock_share: Floats
    inlet_c: Floats
    sink_r_c_per_w: Floats
    next_sink_c: Floats
    next_die_c: Floats
    sink_scale: Floats
    low_priority: Floats


class Layout(NamedTuple):
    """Every array that the step works on (a tuple, as kernels take it). Records hold both what never changes and the state."""

    gpus: Gpus
    servers: Records
    racks: Records
    aisles: Records
    rows: Records
    feeds: Records
    hosts: Records
    site: Records
    models: Records
    neighbours: NDArray[np.int64]
    neighbour_share: NDArray[np.float64]
    runs: NDArray[np.int64]
    ups_share: Floats


# What a snapshot holds, by array; everything else follows from fleet, settings, seed and faults.
STATE: Final = {
    "gpus": ("sink_c", "die_c", "temp_c", "thermal_clock_share", "clock_share", "power_w", "peak_c"),
    "servers": (
        *("load_share", "busy_share", "hottest_c", "fan_share", "airflow_m3_per_s", "power_w", "inlet_c", "off_s", "owed_j"),
        *("minute_inlet_c", "minute_gpu_c", "minute_j", "minute_air_s", "minute_clock_share", "minute_throttled_s", "minute_edges"),
    ),
    "racks": (
        "heat_w",
        "flow_w_per_c",
        "rise_c",
        "power_w",
        "inlet_c",
        "gpu_c",
        "part_inlet_c",
        "part_gpu_c",
        "part_j",
        "part_throttled_s",
    ),
    "aisles": (
        *("air_share", "demand_m3_per_s", "mixing_share", "supply_c"),
        *("part_airflow_m3_per_s", "part_mixing_share", "part_inlet_c"),
    ),
    "rows": (
        *("power_w", "budget_w", "over_s", "hold_s", "brake_clock_share", "gpu_c", "throttled_share"),
        *("live", "t1_on", "t1_order_s", "t2_on", "t2_order_s", "low_clock_share", "high_clock_share"),
    ),
    "feeds": ("live", "power_w", "spent_share", "tripped_s", "part_power_w"),
    "site": SITE_STATE,
}


def copied(layout: Layout) -> Layout:
    """Return a layout that shares no array with the given one."""
    gpus, *rest = layout
    return Layout(Gpus(*(part.copy() for part in gpus)), *(part.copy() for part in rest))


def column(layout: Layout, name: str, field: str) -> Floats:
    """Return one state array of a layout, writable in place."""
    records = getattr(layout, name)
    return np.asarray(getattr(records, field) if name == "gpus" else records[field])
