"""What past sensor readings say of servers: four regressions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.workloads.levers import PastPlant, PlantAtServers

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# Supply air bends where TAPAS's first equation does, C outside.
_KNOTS_C: Final = (15.0, 25.0)
# The last quarter of the hours tells how good the fits are.
_HELD_OUT_SHARE: Final = 0.25
# Keeps a fit finite where the past shows one side of a knot only, relative to the spread of a column.
_RIDGE: Final = 1e-6
# Idle is what GPUs draw in the calmest hundredth of their hours.
_IDLE_QUANTILE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Errors:
    """Mean absolute errors on the hours that were held out; the shares are of the mean."""

    inlet_c: float
    gpu_c: float
    airflow_share: float
    power_share: float


@dataclass(frozen=True, slots=True)
class ServerHistory:
    """How each server answers to weather and load. Shapes: S servers, n GPUs of a server.

    The forms are TAPAS's: the inlet over outside temperature (linear between knots) and the site's load, per server
    (equation 1); a GPU's temperature over inlet and power, linear, per GPU (2); airflow linear (3) and server power polynomial
    (4) in GPU load, per server model. The GPU load of a server is the mean power of its GPUs over idle as a share of their
    rating, so that the shares of its VMs add up to it. ``power_w`` and ``airflow_m3_per_s`` hold the coefficients of load to
    the power of 0, 1 (and 2) at the hottest hour outside that the past has seen.
    """

    inlet: Floats  # S x 5
    gpu: Floats  # S x n x 3
    power_w: Floats  # S x 3
    airflow_m3_per_s: Floats  # S x 2
    idle_share: Floats  # S
    hottest_outside_c: float
    highest_load_share: float
    errors: Errors

    def inlet_c(self, outside_c: float, load_share: float) -> Floats:
        """Return the predicted inlet of each server, shape S."""
        return np.asarray(self.inlet @ _weather(np.array([outside_c]), np.array([load_share]))[0])

    def hottest_gpu_c(self, inlet_c: Floats, gpu_power_w: Floats) -> Floats:
        """Return where the hottest GPU of each server settles if each of them draws ``gpu_power_w``, shapes S."""
        per_gpu = self.gpu[..., 0] + self.gpu[..., 1] * inlet_c[:, None] + self.gpu[..., 2] * gpu_power_w[:, None]
        return np.asarray(per_gpu.max(axis=1))

    @classmethod
    def of(cls, past: PastPlant, plant: PlantAtServers) -> "ServerHistory":
        """Fit what sensors said before the run; ``plant`` tells which servers are of one model."""
        hours, servers = past.inlet_c.shape
        kind = _kinds(plant)
        gpu_w, gpu_c = (each.reshape(hours, servers, -1) for each in (past.gpu_power_w, past.gpu_temp_c))
        share = gpu_w.mean(axis=2) / per_server(plant.gpu_tdp_w, servers)
        idle_share = np.zeros(servers)
        for which in range(int(kind.max(initial=-1)) + 1):
            idle_share[kind == which] = np.quantile(share[:, kind == which], _IDLE_QUANTILE)
        load = share - idle_share
        # Counted from the hottest hour, so that the rest of a fit holds there.
        cooler = np.broadcast_to((past.outside_c - past.outside_c.max())[:, None], load.shape)
        weather = _weather(past.outside_c, past.load_share)
        inlet = _judged(past.inlet_c, lambda h, y: _shared(weather[h], y), lambda k: weather @ k.T)
        gpu = _judged(
            gpu_c,
            lambda h, y: _per_gpu(past.inlet_c[h], gpu_w[h], y),
            lambda k: k[..., 0] + k[..., 1] * past.inlet_c[:, :, None] + k[..., 2] * gpu_w,
        )
        air = _judged(past.airflow_m3_per_s, *_per_model([load, cooler], kind))
        drawn = _judged(past.server_power_w, *_per_model([load, load**2, cooler], kind))
        return cls(
            inlet=inlet[0],
            gpu=gpu[0],
            power_w=_never_falling(drawn[0][:, :3]),
            airflow_m3_per_s=np.maximum(air[0][:, :2], 0.0),
            idle_share=idle_share,
            hottest_outside_c=float(past.outside_c.max()),
            highest_load_share=float(past.load_share.max()),
            errors=Errors(inlet[1], gpu[1], air[1] / float(past.airflow_m3_per_s.mean()), drawn[1] / float(past.server_power_w.mean())),
        )


def per_server(values: Floats, servers: int) -> Floats:
    """Return the lowest value among the GPUs of each server, shape S, of one value per GPU or per server."""
    return np.asarray(values.reshape(servers, -1).min(axis=1))


def _kinds(plant: PlantAtServers) -> Ints:
    """Return the model of each server as a number, shape S."""
    servers = len(plant.server_nameplate_w)
    marks = np.stack([plant.server_nameplate_w, plant.server_airflow_max_m3_per_s, per_server(plant.gpu_tdp_w, servers)])
    return np.asarray(np.unique(marks, axis=1, return_inverse=True)[1].reshape(-1))


def _weather(outside_c: Floats, load_share: Floats) -> Floats:
    """Return the columns of the inlet's regression, shape T x 5."""
    low, high = _KNOTS_C
    parts = (np.minimum(outside_c - low, 0.0), np.clip(outside_c - low, 0.0, high - low), np.maximum(outside_c - high, 0.0))
    return np.stack([np.ones_like(outside_c), *parts, load_share], axis=1)


def _judged(seen: Floats, fit: Callable[[slice, Floats], Floats], predict: Callable[[Floats], Floats]) -> tuple[Floats, float]:
    """Return the fit on all hours, and the mean absolute error on the last ones of the fit on those before."""
    hours = len(seen)
    learned = slice(0, max(1, round(hours * (1.0 - _HELD_OUT_SHARE))))
    error = np.abs(predict(fit(learned, seen[learned])) - seen)[learned.stop :]
    return fit(slice(0, hours), seen), float(error.mean()) if error.size else float("nan")


def _shared(x: Floats, y: Floats) -> Floats:
    """Fit every column of y (T x S) on the same x (T x k), whose first column is all ones; return S x k.

    A column that never moved in the past teaches nothing: its coefficient is 0.
    """
    middle, level = x[:, 1:].mean(axis=0), y.mean(axis=0)
    moved = x[:, 1:] - middle
    square = moved.T @ moved
    slopes = np.linalg.solve(square + _RIDGE * np.diag(np.maximum(np.diag(square), 1.0)), moved.T @ (y - level))
    return np.concatenate([(level - middle @ slopes)[None], slopes]).T


def _per_gpu(inlet_c: Floats, power_w: Floats, temp_c: Floats) -> Floats:
    """Fit each GPU's temperature (T x S x n) on its inlet and power; return S x n x 3."""
    air = (inlet_c - inlet_c.mean(axis=0))[:, :, None]
    power = power_w - power_w.mean(axis=0)
    rise = temp_c - temp_c.mean(axis=0)
    aa, pp = (air**2).sum(axis=0) + _RIDGE, (power**2).sum(axis=0) + _RIDGE
    ap, ar, pr = (air * power).sum(axis=0), (air * rise).sum(axis=0), (power * rise).sum(axis=0)
    least = aa * pp - ap**2 + _RIDGE * aa * pp
    by_air, by_power = (pp * ar - ap * pr) / least, (aa * pr - ap * ar) / least
    level = temp_c.mean(axis=0) - by_air * inlet_c.mean(axis=0)[:, None] - by_power * power_w.mean(axis=0)
    return np.stack([level, by_air, by_power], axis=2)


def _per_model(columns: list[Floats], kind: Ints) -> tuple[Callable[[slice, Floats], Floats], Callable[[Floats], Floats]]:
    """Return how to fit (and how to predict) T x S readings on these columns, one set of coefficients per server model."""

    def fit(hours: slice, y: Floats) -> Floats:
        found = np.zeros((len(kind), 1 + len(columns)))
        for which in range(int(kind.max(initial=-1)) + 1):
            mine = kind == which
            x = np.stack([np.ones(y[:, mine].size), *(column[hours][:, mine].ravel() for column in columns)], axis=1)
            found[mine] = _shared(x, y[:, mine].reshape(-1, 1))
        return found

    def predict(k: Floats) -> Floats:
        return np.asarray(k[:, 0] + sum(k[:, 1 + index] * column for index, column in enumerate(columns)))

    return fit, predict


def _never_falling(power_w: Floats) -> Floats:
    """Return power over load that grows from 0 to 1: a fit on a narrow range may say otherwise outside of it."""
    slope = np.maximum(power_w[:, 1], 0.0)
    return np.stack([power_w[:, 0], slope, np.maximum(power_w[:, 2], -0.5 * slope)], axis=1)
