"""Devices filled with hosts so that no two hosts meet twice."""

from itertools import combinations

import numpy as np

from twin.memory.pods import Ints

# Swaps tried before a draw is given up: the tightest pods that are offered (biregular.TIGHTEST_SHARE) take half of them.
SWAPS_AT_MOST = 40_000
_BATCH = 2_000


class Packing:
    """Devices of ``device_ports`` hosts each, every host on ``ports`` of them.

    ``met`` (H, H) counts on how many devices two hosts sit together. What is counted beforehand stays: hosts of one island have
    met already, so that devices outside join different islands. A greedy draw fills the devices; what it leaves in conflict
    (two hosts that met twice) is mended by swapping two hosts between devices whenever that makes nothing worse.
    """

    def __init__(self, met: Ints, ports: int, device_ports: int, rng: np.random.Generator) -> None:
        self._rng = rng
        self._device_ports = device_ports
        counted, left = met.copy(), np.full(len(met), ports)
        self.devices = [self._filled(counted, left) for _ in range(len(met) * ports // device_ports)]
        # Plain lists: the swaps touch single numbers, which is what arrays are slow at.
        self._met: list[list[int]] = counted.tolist()

    def _filled(self, met: Ints, left: Ints) -> list[int]:
        """Return the hosts of one more device: those with the most ports left, of these such as have met the fewest others."""
        members: list[int] = []
        score = left + self._rng.random(len(left)) / 4
        for _ in range(self._device_ports):
            host = int(np.argmax(score))
            score -= np.minimum(met[host], 1) / (2 * self._device_ports)
            score[host] = -np.inf
            members.append(host)
        left[members] -= 1
        for one, other in combinations(members, 2):
            met[one, other] += 1
            met[other, one] += 1
        return members

    def _in_conflict(self, device: int) -> list[int]:
        """Return the places of a device whose host has met another one of it more than once."""
        hosts = self.devices[device]
        return [place for place, host in enumerate(hosts) if any(self._met[host][other] > 1 for other in hosts if other != host)]

    def _count(self, host: int, others: list[int], step: int) -> None:
        for other in others:
            self._met[host][other] += step
            self._met[other][host] += step

    def _swapped(self, device: int, place: int, partner: int, partner_place: int) -> bool:
        """Swap two hosts between devices unless more pairs would be in conflict than before; say whether they were swapped."""
        here, there = self.devices[device], self.devices[partner]
        one, other = here[place], there[partner_place]
        if device == partner or one in there or other in here:
            return False
        stay_here = [host for host in here if host != one]
        stay_there = [host for host in there if host != other]
        conflicts = sum(self._met[one][host] > 1 for host in stay_here) + sum(self._met[other][host] > 1 for host in stay_there)
        self._count(one, stay_here, -1)
        self._count(other, stay_there, -1)
        new = sum(self._met[other][host] > 0 for host in stay_here) + sum(self._met[one][host] > 0 for host in stay_there)
        better = new <= conflicts
        self._count(other if better else one, stay_here, 1)
        self._count(one if better else other, stay_there, 1)
        if better:
            here[place], there[partner_place] = other, one
        return better

    def mended(self) -> bool:
        """Swap hosts until no two of them meet twice; False where the swaps run out first."""
        open_devices = [device for device in range(len(self.devices)) if self._in_conflict(device)]
        for _ in range(SWAPS_AT_MOST // _BATCH):
            for a, b, c, d in self._rng.random((_BATCH, 4)).tolist():
                place = -1
                while open_devices and place < 0:
                    at = int(a * len(open_devices))
                    places = self._in_conflict(open_devices[at])
                    if places:
                        place = places[int(b * len(places))]
                    else:
                        open_devices[at] = open_devices[-1]
                        open_devices.pop()
                if place < 0:
                    return True
                partner = int(c * len(self.devices))
                swapped = self._swapped(open_devices[at], place, partner, int(d * self._device_ports))
                if swapped and partner not in open_devices and self._in_conflict(partner):
                    open_devices.append(partner)
        return False


def packed(met: Ints, ports: int, device_ports: int, rng: np.random.Generator) -> Ints | None:
    """Return the hosts of each device, shape (H ports / device_ports, device_ports), or None where the draw does not come off."""
    packing = Packing(met, ports, device_ports, rng)
    return np.array(packing.devices, dtype=np.int64) if packing.mended() else None
