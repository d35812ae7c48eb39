"""What TAPAS's paper says, and how ours is computed beside it."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from policies.claim import Claim, Fixed

Read = Callable[[Mapping[str, Mapping[str, tuple[float, ...]]]], float | None]
POLICIES: Final = {
    "baseline": {"name": "baseline", "levers": {}},
    "tapas": {
        "name": "tapas",
        "levers": {
            "request_routing": [{"system": "tapas"}],
            "instance_config": [{"system": "tapas"}],
            "emergency": [{"system": "tapas"}],
        },
    },
}
PLACEMENT: Final = (
    "the paper's number includes the placement of VMs, which no lever of the twin moves yet; ours is routing, clocks and caps alone"
)
SETUP: Final = (
    "Scenario, seeds and measures were fixed before TAPAS was first run on them; its rules have been revised since, on another "
    "scenario. What its margins, shares and time constants are was chosen on the example scenario (seeds 7, 11 and 13, and the "
    "same seeds with bursts a quarter of the time instead of a tenth), which has the same fleet and kind of day as this one: the "
    "example fleet (160 eight-GPU servers in four rows, 80 percent provisioned) from 11:00 to 19:00 "
    "of a hot day in July, half of every row opaque VMs and half 70B endpoints, every knob of TAPAS at its default, three seeds. "
    "Against least-outstanding routing at full clock with uniform row caps. Placement of VMs is the same on both sides; the "
    "paper moves it too, on about a thousand servers over a week of production traces."
)


def _change(metric: str) -> Read:
    """Return a reading of the mean relative change over seeds; None where the baseline has nothing to change."""

    def read(found: Mapping[str, Mapping[str, tuple[float, ...]]]) -> float | None:
        before = np.array(found["baseline"].get(metric, ()), dtype=np.float64)
        after = np.array(found["tapas"].get(metric, ()), dtype=np.float64)
        if not len(before) or len(before) != len(after) or before.mean() <= 0.0:
            return None
        return float(after.mean() / before.mean() - 1.0)

    return read


def _claim(claim_id: str, text: str, metric: str, paper: float, tolerance: float, where: str) -> Claim:
    return Claim(
        id=claim_id,
        text=text,
        metric=metric,
        paper=paper,
        unit="share of the baseline's",
        source=f"tapas: {where}",
        tolerance=tolerance,
        fitted_parameters=0,
        setup=SETUP,
        scenario="tapas",
        evidence=Fixed(POLICIES, (metric,), _change(metric)),
        better="lower",
        comparable=PLACEMENT,
    )


CLAIMS: Final = (
    _claim("max-temperature", "lowers the maximum temperature by 17 %", "plant.gpu_temp_max_c", -0.17, 0.35, "abstract"),
    _claim("peak-row-power", "lowers the peak power of a row by 23 %", "plant.row_power_peak_w", -0.23, 0.35, "abstract"),
    _claim(
        "thermal-throttling",
        "avoids 97 % of thermal throttling events",
        "plant.thermal_throttle_events",
        -0.97,
        0.05,
        "trace-driven simulation",
    ),
    _claim(
        "power-throttling", "avoids 99 % of power throttling events", "plant.power_throttle_events", -0.99, 0.05, "trace-driven simulation"
    ),
)
