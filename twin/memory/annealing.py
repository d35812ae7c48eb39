"""Which host and which device stand where: annealed by swaps.

A cable between the outer and the middle rack is as long as its ends are apart in height, so that only heights count. Two hosts,
or two devices, change places where that costs no more than a threshold, drawn anew each time below one that falls to almost
nothing. All in whole numbers and products of them: the same seed gives the same places on every machine.
"""

from typing import Any, Final

import numba
import numpy as np
from numpy.typing import NDArray

from twin import chance

Ints = NDArray[np.int64]
# Highest threshold at the start, in units of ``costs``: about what a swap of two ends at the far ends of the racks costs.
_BEGIN: Final = 60.0
_END: Final = 1.0
_CHUNK: Final = 1_000


def anneal(host_units: Ints, device_units: Ints, links: tuple[Ints, Ints], costs: Ints, iterations: int, seed: int) -> None:
    """Move hosts and devices to cheaper heights, in place; the places themselves stay the same.

    ``host_units`` (H) and ``device_units`` (M) are heights in rack units; ``links`` are the devices of each host (H, X) and the
    hosts of each device (M, N); ``costs`` is what a cable costs by how many units its ends are apart.
    """
    word = np.uint64(chance.stream(seed, "memory", "layout").integers(1, 1 << 63))
    _run(host_units, device_units, *links, costs, iterations, word)


# Decorated without signatures: they compile at the first call and are kept on disk.
@numba.njit(cache=True, nogil=True)
def _random(word: Any) -> Any:
    word ^= word >> np.uint64(12)
    word ^= word << np.uint64(25)
    word ^= word >> np.uint64(27)
    return word


@numba.njit(cache=True, nogil=True)
def _extra(places: Any, ends: Any, other: Any, costs: Any, one: Any, two: Any) -> Any:
    """Return what it costs if two that stand at ``places`` change over; ``ends`` are what each of them is cabled to."""
    here, there, extra = places[one], places[two], 0
    for port in range(ends.shape[1]):
        first, second = other[ends[one, port]], other[ends[two, port]]
        extra += costs[abs(there - first)] - costs[abs(here - first)]
        extra += costs[abs(here - second)] - costs[abs(there - second)]
    return extra


@numba.njit(cache=True, nogil=True)
def _run(hosts: Any, devices: Any, of_host: Any, of_device: Any, costs: Any, iterations: Any, word: Any) -> None:
    bits, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    threshold = _BEGIN
    for step in range(iterations):
        if step % _CHUNK == 0:
            threshold = _END + (_BEGIN - _END) * (1.0 - step / iterations) ** 2
        word = _random(word)
        drawn = word * np.uint64(2685821657736338717)
        word = _random(word)
        hosts_move = word & np.uint64(64) != np.uint64(0)
        places, ends, other = (hosts, of_host, devices) if hosts_move else (devices, of_device, hosts)
        count = np.uint64(len(places))
        one, two = np.int64(((drawn >> bits) * count) >> bits), np.int64(((drawn & low) * count) >> bits)
        if places[one] == places[two]:
            continue
        extra = _extra(places, ends, other, costs, one, two)
        if extra <= threshold * np.float64(word >> np.uint64(11)) * 2.0**-53:
            places[one], places[two] = places[two], places[one]
