"""What the power tree tells: loads of feeds, trips, dark rows, caps."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.fleet import Fleet
from twin.plant.outages import Told
from twin.plant.records import Layout
from twin.plant.tree import in_force_w
from twin.plant.written import FEEDS
from twin.tables import Sink

Columns = dict[str, NDArray[Any]]


class Trips:
    """Remembers what of the power tree was on at the last tick, so that only turns are told."""

    def __init__(self, fleet: Fleet, arrays: Layout) -> None:
        self._fleet, self._arrays = fleet, arrays
        self._index = np.arange(len(arrays.feeds), dtype=np.uint32)
        self._kind = np.array(["ups"] * len(fleet.ups_ids) + ["pdu"] * len(fleet.pdu_ids), dtype=object)
        self._marks = self._now()

    def catch_up(self) -> None:
        """Take what is on now as already told, as after taking back a snapshot."""
        self._marks = self._now()

    def turned(self, t_s: float) -> list[Told]:
        """Return the events of what has turned since the last call.

        ``ups_trip`` and ``pdu_trip`` carry the load share at the trip, ``row_dark`` 1, ``power_cap`` the grade (1 or 2); value 0
        says that it is over.
        """
        before, self._marks = self._marks, self._now()
        feeds = self._arrays.feeds
        told: list[Told] = []
        for index in np.flatnonzero(self._marks["trip"] != before["trip"]):
            kind, left_w = str(self._kind[index]), feeds["rated_w"][index] * (1.0 - feeds["lost_share"][index])
            value = float(feeds["power_w"][index] / max(left_w, 1e-9)) if self._marks["trip"][index] else 0.0
            told.append((t_s, "plant", f"{kind}_trip", kind, self._fleet.ids("feed")[index], value))
        for name in ("row_dark", "power_cap"):
            for index in np.flatnonzero(self._marks[name] != before[name]):
                told.append((t_s, "plant", name, "row", self._fleet.row_ids[index], float(self._marks[name][index])))
        return told

    def write_feeds(self, sink: Sink, t_s: float) -> None:
        """Write the half minute's highest loads, and which feeds are live at its end."""
        feeds = self._arrays.feeds
        rated_w = in_force_w(feeds)
        power_w = feeds["part_power_w"].copy()
        at = {"t_s": np.full(len(feeds), t_s), "feed_id": self._index, "kind": self._kind}
        sink.append(FEEDS, {**at, "power_w": power_w, "rated_w": rated_w, "live": rated_w > 0.0})

    def _now(self) -> Columns:
        feeds, rows = self._arrays.feeds, self._arrays.rows
        return {
            "trip": feeds["tripped_s"] > 0.0,
            "row_dark": rows["live"] <= 0.0,
            "power_cap": np.maximum(rows["t1_on"], 2.0 * rows["t2_on"]),
        }
