"""The power tree: UPS, PDU, row; overload, ride-through and trips."""

from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from twin.fleet import Fleet
from twin.plant.calibrated import calibrated
from twin.plant.cooling import ups_loss_w
from twin.plant.hardware import Quantity, Record
from twin.plant.records import Layout, Records

Floats = NDArray[np.float64]
Above1 = Annotated[float, Field(gt=1)]
Seconds = Annotated[float, Field(gt=0)]
# Times are counted in steps that need not add up to the last bit.
_SPENT = 1.0 - 1e-9


class PowerTree(BaseModel):
    """When UPS units and PDUs trip, and how long they stay open."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    continuous_share: Annotated[float, Field(ge=1)] = calibrated("tree.continuous_share")
    ups_overload_share: Above1 = calibrated("tree.ups_overload_share")
    ups_overload_s: Seconds = calibrated("tree.ups_overload_s")
    pdu_overload_share: Above1 = calibrated("tree.pdu_overload_share")
    pdu_overload_s: Seconds = calibrated("tree.pdu_overload_s")
    cool_down_s: Seconds = calibrated("tree.cool_down_s")
    reclose_s: Seconds = calibrated("tree.reclose_s")

    @model_validator(mode="after")
    def _overloads_are_above_what_is_carried(self) -> Self:
        for name, value in (("ups_overload_share", self.ups_overload_share), ("pdu_overload_share", self.pdu_overload_share)):
            if value <= self.continuous_share:
                raise ValueError(f"{name} is {value:g}, not above continuous_share of {self.continuous_share:g}; raise it")
        return self


@register_jitable
def spent_per_s(load_share: Quantity, continuous_share: Quantity, overload_share: Quantity, overload_s: Quantity) -> Quantity:
    """Return how much of its ride-through a feed uses up each second, negative below what it carries without end.

    Inverse time, linear in the overload beyond ``continuous_share``: at ``overload_share`` the whole is spent in
    ``overload_s``. A feed trips when 1 is spent.
    """
    return (load_share - continuous_share) / ((overload_share - continuous_share) * overload_s)


@register_jitable
def switch(lay: Layout) -> None:
    """Set which feeds and rows are live and what is left of the budgets, from losses and trips."""
    feeds, ups = lay.feeds, lay.ups_share.shape[1]
    sound = 1.0
    for u in range(ups):
        unit = feeds[u]
        unit.live = 1.0 if unit.tripped_s <= 0.0 and unit.lost_share < 1.0 else 0.0
        sound = min(sound, unit.live * (1.0 - unit.lost_share))
    for p in range(len(lay.ups_share)):
        pdu = feeds[ups + p]
        fed = 0.0
        for u in range(ups):
            fed += lay.ups_share[p, u] * feeds[u].live
        pdu.live = 1.0 if fed > 0.0 and pdu.tripped_s <= 0.0 and pdu.lost_share < 1.0 else 0.0
    lit = 1.0
    for r in range(len(lay.rows)):
        row = lay.rows[r]
        row.live = max(feeds[ups + row.pdu_a].live, feeds[ups + row.pdu_b].live)
        row.budget_w = row.rated_w
        lit = min(lit, row.live)
    if sound < 1.0:
        _lower_budgets(lay)
    if lit > 0.0:
        return
    restart_s = max(lay.site[0].restart_s, 1.0)
    for s in range(len(lay.servers)):
        if lay.rows[lay.servers[s].row].live <= 0.0:
            lay.servers[s].off_s = restart_s


@register_jitable
def _lower_budgets(lay: Layout) -> None:
    """Lower the budgets of the rows whose UPS units could not carry all that their rows may draw, by what the fullest of them lacks.

    A unit that was never built for all of it lowers a budget only by what it has less than then. A dark row keeps its budget.
    """
    feeds, ups = lay.feeds, lay.ups_share.shape[1]
    for f in range(len(feeds)):
        feeds[f].asked_w = 0.0
    for r in range(len(lay.rows)):
        row = lay.rows[r]
        one, other = feeds[ups + row.pdu_a], feeds[ups + row.pdu_b]
        live = max(one.live + other.live, 1.0)
        one.asked_w += row.rated_w * one.live / live
        other.asked_w += row.rated_w * other.live / live
    for p in range(len(lay.ups_share)):
        weight = 0.0
        for u in range(ups):
            weight += lay.ups_share[p, u] * feeds[u].live * (1.0 - feeds[u].lost_share)
        for u in range(ups):
            part = lay.ups_share[p, u] * feeds[u].live * (1.0 - feeds[u].lost_share) / max(weight, 1e-12)
            feeds[u].asked_w += feeds[ups + p].asked_w * part
    for r in range(len(lay.rows)):
        row, left_share = lay.rows[r], 1.0
        for p in (row.pdu_a, row.pdu_b):
            for u in range(ups):
                unit = feeds[u]
                if lay.ups_share[p, u] * unit.live * feeds[ups + p].live > 0.0:
                    carried_w = unit.rated_w * (1.0 - unit.lost_share) / unit.built_share
                    left_share = min(left_share, carried_w / max(unit.asked_w, 1e-9))
        row.budget_w = row.rated_w * left_share


@register_jitable
def carry(lay: Layout, dt_s: float) -> float:
    """Spread the rows' power over what feeds them, spend the ride-through of what is overloaded; return how many feeds are.

    A row draws evenly from its live PDUs; a PDU gives what it delivers and loses on to its live UPS units, in proportion to
    their shares and to what is left of each. A feed that has spent its ride-through is open from the next step on.
    """
    feeds, site, ups = lay.feeds, lay.site[0], lay.ups_share.shape[1]
    for f in range(len(feeds)):
        feeds[f].power_w = 0.0
    for r in range(len(lay.rows)):
        row = lay.rows[r]
        one, other = feeds[ups + row.pdu_a], feeds[ups + row.pdu_b]
        live = one.live + other.live
        if live > 0.0:
            one.power_w += row.power_w * one.live / live
            other.power_w += row.power_w * other.live / live
    for p in range(len(lay.ups_share)):
        drawn_w, weight = feeds[ups + p].power_w * (1.0 + site.pdu_loss_share), 0.0
        for u in range(ups):
            weight += lay.ups_share[p, u] * feeds[u].live * (1.0 - feeds[u].lost_share)
        if weight > 0.0:
            for u in range(ups):
                feeds[u].power_w += drawn_w * lay.ups_share[p, u] * feeds[u].live * (1.0 - feeds[u].lost_share) / weight
    overloaded = 0.0
    for f in range(len(feeds)):
        overloaded += strain(feeds[f], site, dt_s, f < ups)
    return overloaded


@register_jitable
def strain(feed: Record, site: Record, dt_s: float, is_ups: bool) -> float:
    """Advance one feed's ride-through and its trip; return 1 while it is overloaded."""
    feed.part_power_w = max(feed.part_power_w, feed.power_w)
    if feed.tripped_s > 0.0:
        feed.tripped_s = max(feed.tripped_s - dt_s, 0.0)
        feed.spent_share = 0.0
        return 0.0
    force_w = feed.rated_w * (1.0 - feed.lost_share)
    load_share = feed.power_w / force_w if force_w > 0.0 else 0.0
    overload_share = site.ups_overload_share if is_ups else site.pdu_overload_share
    overload_s = site.ups_overload_s if is_ups else site.pdu_overload_s
    if load_share <= site.continuous_share:
        feed.spent_share = max(feed.spent_share - dt_s / site.cool_down_s, 0.0)
        return 0.0
    feed.spent_share += dt_s * spent_per_s(load_share, site.continuous_share, overload_share, overload_s)
    if feed.spent_share >= _SPENT:
        feed.tripped_s, feed.spent_share = site.reclose_s, 0.0
    return 1.0


@register_jitable
def loss_w(lay: Layout) -> float:
    """Return what UPS units and PDUs lose on the way to the racks; an open unit loses nothing."""
    site, ups, lost_w = lay.site[0], lay.ups_share.shape[1], 0.0
    for u in range(ups):
        lost_w += lay.feeds[u].live * ups_loss_w(site, lay.feeds[u].power_w, lay.feeds[u].rated_w)
    for p in range(len(lay.ups_share)):
        lost_w += site.pdu_loss_share * lay.feeds[ups + p].power_w
    return lost_w


def in_force_w(feeds: Records) -> Floats:
    """Return every feed's rating less what is lost of it, 0 where it is open or has nothing behind it."""
    return np.asarray(feeds["rated_w"] * (1.0 - feeds["lost_share"]) * ((feeds["live"] > 0.0) & (feeds["tripped_s"] <= 0.0)))


@dataclass(frozen=True, slots=True)
class Flow:
    """Loads of a tree: ``ups_w`` (U), ``pdu_w`` (P, delivered), and which rows still have a live feed (R)."""

    ups_w: Floats
    pdu_w: Floats
    row_live: NDArray[np.bool_]


def flow(
    row_w: Floats, row_pdus: NDArray[np.int64], pdu_ups_share: Floats, ups_left: Floats, pdu_left: Floats, pdu_loss_share: float
) -> Flow:
    """Return what every feed would carry at these rows' powers with these shares of UPS (U) and PDU (P) left.

    The same law as the kernel's, for plans and questions such as "and if this UPS were lost?".
    """
    weight = pdu_ups_share * ups_left
    fed = weight.sum(axis=1)
    live = (pdu_left > 0.0) & (fed > 0.0)
    feeds = live[row_pdus]
    count = feeds.sum(axis=1)
    each_w = np.where(feeds, (row_w / np.maximum(count, 1))[:, None], 0.0)
    pdu_w = np.bincount(row_pdus.ravel(), weights=each_w.ravel(), minlength=len(pdu_left))
    ups_w = (pdu_w * (1.0 + pdu_loss_share) / np.where(live, fed, 1.0) * live) @ weight
    return Flow(np.asarray(ups_w, dtype=np.float64), np.asarray(pdu_w, dtype=np.float64), count > 0)


def built_share(fleet: Fleet) -> Floats:
    """Return how much of what the rows' budgets ask of each feed (U, then P) it is rated for while all is well, at most 1."""
    ups, pdus = len(fleet.ups_ids), len(fleet.pdu_ids)
    asked = flow(fleet.row_power_budgets_w, fleet.row_pdus, fleet.pdu_ups_share, np.ones(ups), np.ones(pdus), 0.0)
    asked_w = np.maximum(np.concatenate([asked.ups_w, asked.pdu_w]), 1e-9)
    return np.asarray(np.minimum(np.concatenate([fleet.ups_rated_w, fleet.pdu_rated_w]) / asked_w, 1.0))


@dataclass(frozen=True, slots=True)
class FirstToTrip:
    """Per feed: watts left below its rating (negative above), seconds to its trip at this load, and who goes first.

    ``trip_s`` is infinite for what can carry its load without end. ``order`` lists the feeds, first to trip first; those that
    never trip follow by how full they are.
    """

    headroom_w: Floats
    trip_s: Floats
    order: NDArray[np.int64]


def first_to_trip(
    load_w: Floats, rated_w: Floats, continuous_share: float, overload_share: float, overload_s: float, spent_share: Floats | float = 0.0
) -> FirstToTrip:
    """Return headroom and time to trip of feeds of one kind at their present load.

    ``rated_w`` is the rating in force, 0 where a feed is out; ``spent_share`` what is already used of the ride-through.
    """
    load_share = np.where(rated_w > 0.0, load_w / np.maximum(rated_w, 1e-9), 0.0)
    rate = spent_per_s(load_share, continuous_share, overload_share, overload_s)
    trip_s = np.where(rate > 0.0, np.maximum(1.0 - spent_share, 0.0) / np.where(rate > 0.0, rate, 1.0), np.inf)
    return FirstToTrip(rated_w - load_w, trip_s, np.lexsort((-load_share, trip_s)))
