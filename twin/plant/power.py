"""Electric power of GPUs, servers and hosts by phase, batch and clock."""

import numpy as np
from numba.extending import register_jitable

from twin.plant.hardware import Quantity, Record


@register_jitable
def idle_power_w(model: Record, resident: Quantity) -> Quantity:
    """Return the power of a GPU that does nothing, with or without a model in its memory."""
    return model.idle_w + (model.resident_w - model.idle_w) * resident


@register_jitable
def decode_power_w(model: Record, batch: Quantity, bandwidth_share: Quantity) -> Quantity:
    """Return the power of a GPU that decodes all the time at full clock.

    Decoding streams the weights once per iteration, so power rises with the share of memory bandwidth in use; each further
    request in the batch adds arithmetic on the same stream: its share of peak FLOP/s is bandwidth_share * batch / ridge.
    The sum bends towards a ceiling. Fitted on the measured rows of Splitwise's profile (root mean square error 0.015 of TDP).
    """
    base = model.decode_floor_share + model.decode_bandwidth_slope * bandwidth_share
    room = np.maximum(model.decode_ceiling_share - base, 1e-3)
    push = model.decode_compute_slope * bandwidth_share * batch / model.ridge_requests
    return model.tdp_w * np.minimum(base + room * push / (room + push), 1.0)


@register_jitable
def busy_power_w(model: Record, idle_w: Quantity, prefill: Quantity, decode: Quantity, opaque: Quantity, decode_w: Quantity) -> Quantity:
    """Return the power above idle at full clock from shares of time by phase; shares that exceed 1 in sum are scaled down."""
    fit = 1.0 / np.maximum(prefill + decode + opaque, 1.0)
    prefill_w = model.prefill_power_share * model.tdp_w
    opaque_w = model.opaque_power_share * model.tdp_w
    return fit * (prefill * (prefill_w - idle_w) + decode * (decode_w - idle_w) + opaque * (opaque_w - idle_w))


@register_jitable
def clock_factor(model: Record, clock_share: Quantity) -> Quantity:
    """Return the share of dynamic power left at a clock: a f + (1 - a) f^3 (voltage falls with the clock)."""
    a = model.dynamic_linear_share
    return clock_share * (a + (1.0 - a) * clock_share * clock_share)


@register_jitable
def gpu_power_w(model: Record, idle_w: Quantity, busy_w: Quantity, clock_share: Quantity) -> Quantity:
    """Return a GPU's power (mean over a tick), never above its TDP."""
    return np.minimum(idle_w + busy_w * clock_factor(model, clock_share), model.tdp_w)


@register_jitable
def server_power_w(model: Record, busy_share: Quantity, gpus_w: Quantity, fan_share: Quantity) -> Quantity:
    """Return a server's power at its supply's input: board, GPUs and fans (cubic in speed)."""
    return model.base_w + model.base_load_w * busy_share + gpus_w + model.fan_max_w * fan_share * fan_share * fan_share


@register_jitable
def host_power_w(idle_w: Quantity, max_w: Quantity, load_share: Quantity) -> Quantity:
    """Return a CPU host's power, linear in its load."""
    return idle_w + (max_w - idle_w) * load_share
