"""What hints in force let the platform do to a VM."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.workloads.levers import EVICT, LEAVE, MOVE, SHUT
from twin.workloads.negotiation.keys import FULL

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Hinted = Mapping[str, Floats]
# So many nines are never given up for capacity or power: spot, harvest and multi-availability end below them.
EVICTED_BELOW_NINES = 4.0
SHUT_UP_TO_NINES = 3.0


def takes(hints: Hinted, at: Ints, take: Ints) -> Bools:
    """Return whether the VMs at these positions may be taken so: evicted, shut down, moved, or left alone, shape of ``at``."""
    nines = hints["availability_nines"][at]
    evict = (hints["preemptible"][at] > 0) & (nines < EVICTED_BELOW_NINES)
    move = (hints["region_independence"][at] >= FULL) & (hints["data_residency"][at] == 0)
    shut = nines <= SHUT_UP_TO_NINES
    return np.asarray(
        (take == LEAVE) | ((take == EVICT) & evict) | ((take == SHUT) & shut) | ((take == MOVE) & move),
    )


def sizes(hints: Hinted, at: Ints, size_share: Floats) -> Bools:
    """Return whether VMs may have such a share of their cores: another size asks for a hint, fewer also where work may wait."""
    may_wait = (size_share < 1.0) & (hints["delay_tolerance_s"][at] > 0)
    return np.asarray((size_share == 1.0) | (hints["scale_up_down"][at] > 0) | may_wait)


def clocks(hints: Hinted, at: Ints, clock_share: Floats) -> Bools:
    """Return whether VMs may run at such a clock: a lower one only where work may wait."""
    return np.asarray((clock_share >= 1.0) | (hints["delay_tolerance_s"][at] > 0))
