"""The plain holders of the plant's levers: as built, all slow down alike."""

from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from policies.baselines.clocks import clock_for, power_share
from policies.system import Knobs, Surroundings, System
from twin.plant.levers import CLOCK_LOW, CapacityAction, CapacityObservation, EmergencyAction, PlantObservation
from twin.stack import State


class AsBuilt:
    """Leaves the site as it was built."""

    def __init__(self, knobs: Knobs, surroundings: Surroundings) -> None:
        del knobs, surroundings

    def size(self, seen: CapacityObservation) -> CapacityAction:
        """Return no extra server for any row."""
        return CapacityAction(np.zeros(len(seen.row_ids), dtype=np.int64))


class UniformCapKnobs(Knobs):
    """How deep and how long a row is capped."""

    idle_w: Annotated[float, Field(ge=0, le=300, description="power of a GPU that no clock saves")] = 100.0
    cap_to_share: Annotated[float, Field(ge=0.5, le=1, description="share of the budget that a capped row is brought to")] = 0.97
    release_below_share: Annotated[float, Field(ge=0.3, le=1, description="share of the budget below which a cap is eased")] = 0.92
    release_per_s: Annotated[float, Field(gt=0, le=0.5, description="clock share given back per second of easing")] = 0.005


class UniformCap:
    """Caps all GPUs of a row alike when the row draws more than its budget, blind to what runs on them."""

    def __init__(self, knobs: UniformCapKnobs, surroundings: Surroundings) -> None:
        self._knobs = knobs
        self._row_cap = np.ones(len(surroundings.row_ids))
        self._gpu_rows: NDArray[np.int64] | None = None

    def cap(self, seen: PlantObservation) -> EmergencyAction:
        """Return the clock caps that hold during the next tick."""
        if self._gpu_rows is None:
            self._gpu_rows = seen.server_rows[seen.gpu_servers]
        knobs, gpu_rows = self._knobs, self._gpu_rows
        over = seen.row_power_w > seen.row_budget_w
        under = seen.row_power_w < knobs.release_below_share * seen.row_budget_w
        cap = np.where(under, self._row_cap + knobs.release_per_s * seen.tick_s, self._row_cap)
        # Nearly always every row is within its budget, and what a tighter cap would be need not be known.
        if over.any():
            cap = np.where(over, np.minimum(self._row_cap, self._tighter(seen, gpu_rows)), cap)
        self._row_cap = np.clip(cap, CLOCK_LOW, 1.0)
        return EmergencyAction(self._row_cap[gpu_rows])

    def _tighter(self, seen: PlantObservation, gpu_rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the clock at which each row would draw what it is capped to."""
        knobs, rows = self._knobs, len(seen.row_budget_w)
        dynamic = np.maximum(seen.gpu_power_w - knobs.idle_w, 0.0)
        # What the row's GPUs would draw above idle at full clock: the cap is set on that, not step by step.
        full = np.bincount(gpu_rows, weights=dynamic / np.maximum(power_share(seen.gpu_clock_share), 0.05), minlength=rows)
        now = np.bincount(gpu_rows, weights=dynamic, minlength=rows)
        wanted = now - (seen.row_power_w - knobs.cap_to_share * seen.row_budget_w)
        return clock_for(np.clip(wanted / np.maximum(full, 1.0), 0.0, 1.0))

    def snapshot(self) -> State:
        """Return the caps in force."""
        return {"row_cap": self._row_cap.copy()}

    def restore(self, state: State) -> None:
        """Take back the caps in force."""
        self._row_cap = np.array(state["row_cap"], dtype=np.float64)


BASELINES: Final = (
    System(
        id="as_built",
        name="as built",
        question="What does the site do with the servers that its power budgets were made for?",
        levers={"capacity": "holder"},
        serves=(),
        costs=(),
        knobs=Knobs,
        build=AsBuilt,
    ),
    System(
        id="uniform_cap",
        name="uniform cap",
        question="What if every GPU of a row slows down alike when its power runs out?",
        levers={"emergency": "holder"},
        serves=("plant.row_power_peak_w", "plant.power_throttle_events"),
        costs=("serving.ttft_p99_s", "serving.slo_attainment_share"),
        knobs=UniformCapKnobs,
        build=UniformCap,
        watch=("plant.row_power_peak_w",),
    ),
)
