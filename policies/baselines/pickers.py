"""Compiled rules of the pool: a device for each slice; loaded when held."""

import numpy as np

from twin.memory.allocation import picker
from twin.memory.demand import Floats, Ints

# Each rule picks a place in `reach` whose device has room, or -1; see PICK_SIGNATURE for the arguments.


@picker
def least_loaded(reach: Ints, used: Ints, room: Ints, score: Floats) -> int:
    """Take the device with the fewest slices in use; ties go to the first one."""
    best = -1
    for place in range(len(reach)):
        device = reach[place]
        if room[device] > 0 and (best < 0 or used[device] < used[reach[best]]):
            best = place
    return best


@picker
def first_fit(reach: Ints, used: Ints, room: Ints, score: Floats) -> int:
    """Take the first device with room."""
    for place in range(len(reach)):
        if room[reach[place]] > 0:
            return place
    return -1


@picker
def scattered(reach: Ints, used: Ints, room: Ints, score: Floats) -> int:
    """Take any device with room: a hash (splitmix64) of what is in use decides, so that it depends on nothing else."""
    able = 0
    mixed = np.uint64(reach[0] + 1)
    for device in reach:
        mixed = mixed * np.uint64(31) + np.uint64(used[device])
        able += 1 if room[device] > 0 else 0
    if able == 0:
        return -1
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    chosen = np.int64((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(33)) % able
    for place in range(len(reach)):
        if room[reach[place]] > 0:
            if chosen == 0:
                return place
            chosen -= 1
    return -1
