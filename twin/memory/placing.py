"""At which heights hosts, devices and switches of a pod stand: searched.

Both searches are heuristics: what they do not find may still be there.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin import chance
from twin.memory.cabling import cables
from twin.memory.pods import Pod
from twin.sources import calibration

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
OUTER_RACKS: Final = (1, 3)
TOLERANCE_M: Final = 1e-9
# What a cable that is too long weighs, once and by each unit too far, where lengths weigh one by unit.
_TOO_LONG: Final = 10
# The same where lengths weigh nothing, try by try. Each brings 96 hosts in islands under 1.5 m with 0.2 m of slack in about every
# second draw, which hardly any does while lengths count as well.
_AGAIN: Final = (15, 20, 15, 20, 15)
# No saving of length that one swap can make is worth as much.
_NEVER: Final = 10_000
# More than that many cables too long are not brought down to none.
_FEW: Final = 16


class Heights(NamedTuple):
    """Units of hosts (H), devices (M) and switches (S), counted from 0 at the bottom."""

    host: Ints
    device: Ints
    switch: Ints


def number(name: str) -> Any:
    """Return a number of the calibration of layouts."""
    return calibration("memory")["layout"][name]["value"]


def middle_units(pod: Pod) -> int:
    """Return how many units of the middle rack a pod's devices and switches take."""
    return pod.switches - (-pod.devices // int(number("devices_per_unit")))


def place(pod: Pod, slack_m: float, limit_m: float, tries: int, seed: int) -> Heights:
    """Return heights at which as few cables as are found are longer than ``limit_m`` (m, with ``slack_m``), and all are short.

    ``tries`` are the swaps of one annealing; behind switches none is needed.
    """
    middle, rows = middle_units(pod), -(-pod.hosts // len(OUTER_RACKS))
    # Both blocks are as dense as can be and stand at the same middle height, from the floor up.
    tall = max(middle, rows)
    host = np.arange(pod.hosts, dtype=np.int64) // len(OUTER_RACKS) + (tall - rows) // 2
    units = np.arange(middle, dtype=np.int64) + (tall - middle) // 2
    if pod.switches:
        return _around_switches(pod, host, units, slack_m, limit_m)
    device = units[np.arange(pod.devices) // int(number("devices_per_unit"))]
    return _annealed(pod, Heights(host, device, np.zeros(0, dtype=np.int64)), slack_m, limit_m, tries, seed)


def lengths(pod: Pod, at: Heights, slack_m: float) -> Floats:
    """Return how long each cable of a pod is, m, shape C."""
    ends, unit_m, pitch_m = cables(pod), float(number("unit_m")), float(number("rack_pitch_m"))
    far = np.where(ends.device >= 0, at.device[ends.device], 0)
    if pod.switches:
        far = np.where(ends.host >= 0, at.switch[ends.switch], far)
        near = np.where(ends.host >= 0, at.host[ends.host], at.switch[ends.switch])
    else:
        near = at.host[ends.host]
    # A device hangs on a switch of its own rack.
    return np.asarray(np.where(ends.host >= 0, pitch_m, 0.0) + unit_m * np.abs(near - far) + slack_m)


def too_long(cable_m: Floats, limit_m: float) -> int:
    """Return how many cables are longer than a limit."""
    return int((cable_m > limit_m + TOLERANCE_M).sum())


def _badness(pod: Pod, at: Heights, slack_m: float, limit_m: float) -> tuple[int, float]:
    cable_m = lengths(pod, at, slack_m)
    return too_long(cable_m, limit_m), float(cable_m.sum())


def _around_switches(pod: Pod, host: Ints, units: Ints, slack_m: float, limit_m: float) -> Heights:
    """Return switches at the best of all even distances and heights, with devices in the units between, above and below.

    Every host is cabled to every switch, so that it does not matter which host stands where; and devices are nearest to their
    switches where they stand in the same order. The one unit that may not be full is the highest.
    """
    gaps = range(1, (len(units) - 1) // max(pod.switches - 1, 1) + 1) if pod.switches > 1 else (1,)
    found: list[tuple[int, float, int, Heights]] = []
    for gap in gaps:
        for lowest in range(len(units) - gap * (pod.switches - 1)):
            taken = lowest + gap * np.arange(pod.switches)
            left = np.repeat(np.delete(units, taken), int(number("devices_per_unit")))
            at = Heights(host, left[: pod.devices], units[taken])
            found.append((*_badness(pod, at, slack_m, limit_m), len(found), at))
    return min(found)[-1]


def _annealed(pod: Pod, begin: Heights, slack_m: float, limit_m: float, tries: int, seed: int) -> Heights:
    """Return heights annealed for short cables. Where that leaves a few too long, anneal again for these alone, then for length.

    The best of all is kept; what is annealed for length at the end has no more cables too long than it had.
    """
    reach_units, links = _reach_units(slack_m, limit_m), _links(pod)

    def annealed(start: Heights, weights: tuple[int, int], draw: int) -> tuple[tuple[int, float], Heights]:
        from twin.memory import annealing  # numba loads slowly; who only reads a layout must not wait for it

        at = Heights(start.host.copy(), start.device.copy(), start.switch)
        annealing.anneal(at.host, at.device, links, _costs(reach_units, *weights), tries, draw)
        return _badness(pod, at, slack_m, limit_m), at

    first = best = annealed(begin, (1, _TOO_LONG), seed)
    for again, weight in enumerate(_AGAIN):
        if not 0 < best[0][0] <= _FEW:
            break
        best = min(best, annealed(begin, (0, weight), _draw(seed, again)), key=_by_badness)
    if best is first:
        return best[1]
    return min(best, annealed(best[1], (1, _NEVER), _draw(seed, len(_AGAIN))), key=_by_badness)[1]


def _by_badness(found: tuple[tuple[int, float], Heights]) -> tuple[int, float]:
    return found[0]


def _draw(seed: int, again: int) -> int:
    return int(chance.stream(seed, "memory", "layout", f"again-{again}").integers(1 << 31))


def _costs(reach_units: int, length: int, too_long: int) -> Ints:
    """Return what a cable costs by how many units its ends are apart."""
    apart = np.arange(int(number("rack_units")), dtype=np.int64)
    return length * apart + np.where(apart > reach_units, too_long * (1 + apart - reach_units), 0)


def _links(pod: Pod) -> tuple[Ints, Ints]:
    """Return the devices of each host (H, X) and the hosts of each device (M, N)."""
    of_host = np.ascontiguousarray(pod.reach, dtype=np.int64)
    if (np.bincount(of_host.ravel(), minlength=pod.devices) != pod.device_ports).any():
        raise ValueError(f"pod {pod.name}: its devices are not cabled to {pod.device_ports} hosts each; give every port a host")
    of_device = np.argsort(of_host.ravel(), kind="stable").reshape(pod.devices, pod.device_ports) // pod.host_ports
    return of_host, np.ascontiguousarray(of_device)


def _reach_units(slack_m: float, limit_m: float) -> int:
    """Return how many units apart the ends of a cable may be, as far as a rack is high."""
    units = int(number("rack_units"))
    reach = (limit_m - slack_m - number("rack_pitch_m") + TOLERANCE_M) / number("unit_m")
    return int(np.clip(np.floor(reach), -units, units))
