"""What devices, switches and cables cost: named tables, packaged or own.

A table has prices by port count and none in between: a pod that needs a device the table does not have is refused by name.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.sources import Strength, calibration, home_dir, import_suffix, imported, imported_table

Floats = NDArray[np.float64]
IMPORT_KIND: Final = "device-prices"
_IMPORT: Final = re.compile(r"^import:([a-z0-9-]{1,40})$")
_TOLERANCE_M: Final = 1e-9
_REMEDY: Final = "choose one of these, another table or your own (intentwin import device-prices)"


@dataclass(frozen=True)
class Prices:
    """One table, in USD: devices and switches by port count, cables by length (ascending, m).

    A device of one port is an expansion device. ``strengths`` tells how strong each price is, by ``device-4``, ``switch-32``
    and ``cable-0.75``; what a user imported is ``measured``. ``*_power_w`` hold what an own table says beside the defaults.
    """

    name: str
    title: str
    device_usd: Mapping[int, float]
    switch_usd: Mapping[int, float]
    cable_m: tuple[float, ...]
    cable_usd: tuple[float, ...]
    strengths: Mapping[str, Strength]
    device_power_w: Mapping[int, float] = field(default_factory=dict)
    switch_power_w: Mapping[int, float] = field(default_factory=dict)

    @property
    def fitted(self) -> tuple[str, ...]:
        """Which prices were fitted to a published result, by their names in ``strengths``."""
        return tuple(name for name, strength in self.strengths.items() if strength == "fitted")

    def device(self, ports: int) -> float:
        """Return the price of one device of ``ports`` ports; ValueError, one line, where the table has none."""
        if ports not in self.device_usd:
            raise ValueError(f"prices {self.name} have no device of {ports} ports ({_there(self.device_usd)}); {_REMEDY}")
        return self.device_usd[ports]

    def switch_ports(self, ports: int) -> int:
        """Return the ports of the smallest switch with at least ``ports``; ValueError, one line, where the table has none."""
        fitting = [count for count in self.switch_usd if count >= ports]
        if not fitting:
            raise ValueError(f"prices {self.name} have no switch of {ports} ports or more ({_there(self.switch_usd)}); {_REMEDY}")
        return min(fitting)

    def cables(self, length_m: Floats, limit_m: float = math.inf) -> tuple[Floats, Floats]:
        """Return the length to order and the price of each cable: the cheapest of the table that is long enough, else NaN.

        Of two at one price the shorter. None longer than ``limit_m`` (m) is taken instead of a shorter one.
        """
        order_m, usd = np.append(self.cable_m, np.nan), np.append(self.cable_usd, np.nan)
        best = np.arange(len(order_m))
        for place in range(len(self.cable_m) - 2, -1, -1):
            longer = best[place + 1]
            if usd[longer] < usd[place] and order_m[longer] <= limit_m + _TOLERANCE_M:
                best[place] = longer
        chosen = best[np.searchsorted(np.array(self.cable_m) + _TOLERANCE_M, length_m)]
        return order_m[chosen], usd[chosen]


def _there(table: Mapping[int, float]) -> str:
    counts = [str(count) for count in sorted(table)]
    return f"there are {', '.join(counts)}" if counts else "it has none"


def import_name(setting: str) -> str | None:
    """Return the name of the imported table that a setting stands for, None for a packaged one.

    >>> import_name("import:our-quote"), import_name("v3-recalled")
    ('our-quote', None)
    """
    found = _IMPORT.match(setting)
    return found[1] if found else None


def names() -> tuple[str, ...]:
    """Return the tables there are: the packaged ones, then ``import:NAME`` for each own one."""
    own = (home_dir() / "imports" / IMPORT_KIND).glob(f"*{import_suffix(IMPORT_KIND)}")
    return (*calibration("memory")["prices"], *(f"import:{name}" for name in sorted(path.stem for path in own)))


def table(name: str) -> Prices:
    """Return a table by its name; ValueError, one line, for one that is not there."""
    own = import_name(name)
    if own is not None:
        return _imported(name, own)
    packaged = calibration("memory")["prices"]
    if name not in packaged:
        raise ValueError(f"memory.prices: {name!r} is no table of prices; there are: {', '.join(names())}")
    return _packaged(name, packaged[name])


def _packaged(name: str, entry: Mapping[str, Any]) -> Prices:
    strengths: dict[str, Strength] = {}
    for kind, key in (("device", "ports"), ("switch", "ports"), ("cable", "length_m")):
        strengths |= {f"{kind}-{row[key]:g}": row["strength"] for row in entry[kind]}
    cables = sorted((float(row["length_m"]), float(row["value"])) for row in entry["cable"])
    return Prices(
        name, entry["title"], _by_ports(entry["device"]), _by_ports(entry["switch"]),
        tuple(length for length, _ in cables), tuple(price for _, price in cables), strengths,
    )  # fmt: skip


def _by_ports(rows: Any) -> dict[int, float]:
    return {int(row["ports"]): float(row["value"]) for row in rows}


def _imported(name: str, own: str) -> Prices:
    frame = imported_table(imported(IMPORT_KIND, own))
    rows = frame.to_dicts()
    devices, switches, cables = ([row for row in rows if row["kind"] == kind] for kind in ("device", "switch", "cable"))
    priced = [(f"{row['kind']}-{row['ports'] if row['ports'] is not None else row['length_m']:g}") for row in rows]
    cables.sort(key=lambda row: float(row["length_m"]))
    return Prices(
        name, f"imported as {own}",
        {row["ports"]: row["price_usd"] for row in devices}, {row["ports"]: row["price_usd"] for row in switches},
        tuple(row["length_m"] for row in cables), tuple(row["price_usd"] for row in cables), dict.fromkeys(priced, "measured"),
        {row["ports"]: row["power_w"] for row in devices if row["power_w"] is not None},
        {row["ports"]: row["power_w"] for row in switches if row["power_w"] is not None},
    )  # fmt: skip
