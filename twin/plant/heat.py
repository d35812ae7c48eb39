"""Temperature of GPUs: two thermal nodes, stepped exactly for any tick."""

from typing import Annotated

import numpy as np
from numba.extending import register_jitable
from pydantic import BaseModel, ConfigDict, Field

from twin.plant.calibrated import calibrated
from twin.plant.hardware import Quantity, Record


class Heat(BaseModel):
    """How GPUs of one server differ. ``preheat_c`` is the air's warming on the way to each of the eight slots."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gpu_spread_c: Annotated[float, Field(ge=0)] = calibrated("heat.gpu_spread_c")
    preheat_c: Annotated[tuple[float, ...], Field(min_length=8, max_length=8)] = calibrated("heat.preheat_c")
    sink_flow_exponent: Annotated[float, Field(ge=0, le=2)] = calibrated("heat.sink_flow_exponent")


@register_jitable
def relaxation(dt_s: Quantity, tau_s: Quantity) -> Quantity:
    """Return the share of the way to its target that a first-order node goes in dt: 1 - exp(-dt / tau), exact for any dt."""
    return -np.expm1(-dt_s / tau_s)


@register_jitable
def sink_resistance_c_per_w(model: Record, flow_share: Quantity, exponent: Quantity) -> Quantity:
    """Return the heat sink's resistance to air; 0.8 is the exponent of turbulent forced convection."""
    return model.r_sink_c_per_w * flow_share ** (-exponent)


@register_jitable
def toward(now_c: Quantity, target_c: Quantity, gain: Quantity) -> Quantity:
    """Return a node's temperature after a step whose relaxation is ``gain``."""
    return now_c + gain * (target_c - now_c)


def steady_gpu_temp_c(model: Record, inlet_c: float, power_w: float, flow_share: float) -> float:
    """Return where a GPU settles: linear in inlet and power, as TAPAS' second regression (arXiv:2501.02600, eq. 2)."""
    sink = sink_resistance_c_per_w(model, flow_share, Heat().sink_flow_exponent)
    return float(inlet_c + (sink + model.r_die_c_per_w) * power_w)


@register_jitable
def memory_temp_c(model: Record, die_c: Quantity) -> Quantity:
    """Return the temperature of a GPU's memory (HBM): the die's and a rise above it."""
    return die_c + model.memory_rise_c


@register_jitable
def over_limit_c(model: Record, die_c: Quantity) -> Quantity:
    """Return how far a GPU is above what it may be, negative below: die or memory, whichever is nearer to its own limit."""
    return np.maximum(die_c - model.limit_c, memory_temp_c(model, die_c) - model.memory_limit_c)


def limit_c(model: Record) -> Record:
    """Return the die temperature above which a GPU throttles: its own limit, or its memory's where that binds first."""
    return np.minimum(model.limit_c, model.memory_limit_c - model.memory_rise_c)
