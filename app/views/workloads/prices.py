"""Panels of prices: what each optimisation takes off, and the band."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import polars as pl
import streamlit as st

from app import later, parts, state
from app.charts import waterfall as drawn
from app.charts.band import band_svg
from app.charts.quantity import grouped
from app.charts.statements import plainly
from app.later import Answer
from app.views.workloads import reading
from app.views.workloads.lanes import note
from app.views.workloads.reading import Listening
from app.widgets.drawing import drawing
from twin.units import show
from twin.workloads.negotiation.treatments import TREATMENTS

PAPER_SHARE: Final = 0.488


@lru_cache(maxsize=64)
def saved(home: str, run_id: str, whose: str) -> dict[str, float]:
    """Return what each optimisation took off over the run, in USD, of all workloads or of one."""
    offers = reading.table(run_id, "offers")
    if offers.is_empty():
        return {}
    mine = offers.filter(pl.col("workload_id") == whose) if whose else offers
    return {str(name): float(usd) for name, usd in mine.group_by("optimisation").agg(pl.col("saved_usd").sum()).iter_rows()}


def waterfall(listen: Listening) -> None:
    """Draw what each optimisation took off the regular price, in the order of application; the formula is a click away."""
    sums = reading.bill(listen.home, listen.run_id, listen.whose)
    if not sums:
        return
    found = drawn.steps(saved(listen.home, listen.run_id, listen.whose), sums["regular_usd"], sums["billed_usd"])
    title = price_title(sum(step.points for step in found), listen.whose)
    frame = pl.DataFrame({"optimisation": [step.name for step in found], "points": [step.points for step in found]})
    with parts.panel(title, "workloads-prices", data=frame, sql=_SQL.format(run_id=listen.run_id), png=True):
        if found:
            tokens = state.colours()
            drawing(
                drawn.waterfall_svg(found, tokens, title), narrow=drawn.waterfall_svg(found, tokens, title, narrow=True),
                key="workloads-waterfall",
            )  # fmt: skip
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="workloads-price-foot"):
            note(_foot(listen, sums) if found else f"{grouped(sums['regular_usd'])} USD over the run; no optimisation was granted.")
            _formula(listen)


def _foot(listen: Listening, sums: Mapping[str, float]) -> str:
    """Return what was billed instead of the regular price, what was emitted, and the price list that hints replace."""
    regular, billed = grouped(sums["regular_usd"]), grouped(sums["billed_usd"])
    emitted, opaque = show(sums["carbon_kg"], "x_kg"), show(sums["regular_carbon_kg"], "x_kg")
    words = (
        f"Points of the regular price, in the order of application. {regular} USD became {billed} over the run; "
        f"carbon {emitted} instead of {opaque}."
    )
    words = f"{words}{_largest(listen, sums['regular_usd'])}"
    found = offering(listen.home, listen.run_id)
    if found is None or listen.whose:
        return words
    return (
        f"{words} The price list: {found.after.listed} VM types and their hints; without hints {grouped(found.used.listed)}, "
        "each type with every optimisation in use."
    )


def _largest(listen: Listening, whole_usd: float) -> str:
    """Return whose bill the cut rests on where one workload is half of the regular price or more, and what its class says of evictions."""
    bills = {name: reading.bill(listen.home, listen.run_id, name) for name in reading.workloads(listen.home, listen.run_id)}
    name = max(bills, key=lambda one: bills[one].get("regular_usd", 0.0))
    share, cut = bills[name].get("regular_usd", 0.0) / whole_usd, reading.cut_share(bills[name])
    if listen.whose or share < 0.5 or cut is None:
        return ""
    tenant = next((one for one in reading.tenants(listen.run_id) if str(one["id"]) == name), None)
    because = "" if tenant is None else f": its class, {reading.class_of(listen.run_id, tenant).title}, {_may_go(listen.run_id, tenant)}"
    return f" {100 * share:.0f}\u00a0% of it was {plainly(name)}’s, now {100 * cut:.1f}\u00a0% cheaper{because}."


def _may_go(run_id: str, tenant: Mapping[str, Any]) -> str:
    """Return what a workload's class says of evictions."""
    level = reading.class_of(run_id, tenant).levels.preemption
    return ("lets no VM be evicted", "lets a part of its VMs be evicted", "lets every VM be evicted")[level]


@lru_cache(maxsize=16)
def offering(home: str, run_id: str) -> Any:
    """Return how many kinds of VMs a provider would have to list without hints, and with them; None where nobody negotiates."""
    from twin.workloads.negotiation.offering import simplification

    return simplification(state.run(run_id).tables)


def price_title(points: float, whose: str) -> str:
    """Return by how much prices fell, of all workloads or of one."""
    who = f"{_up(plainly(whose))}: together they cut" if whose else "Together they cut"
    if points < 0.005:
        return f"{_up(plainly(whose))} pays the regular price" if whose else "Everybody pays the regular price"
    return f"{who} prices by {points:.1f}\u00a0%"


def _up(words: str) -> str:
    return words[:1].upper() + words[1:]


def _formula(listen: Listening) -> None:
    link = st.popover("Formula", type="tertiary", key="workloads-formula", on_change="rerun")
    if not link.open:
        return
    with link:
        said = reading.settings(listen.run_id).get("discounts") or {}
        off = {**_discounts(), **{str(key): float(value) for key, value in said.items()}}
        st.markdown(
            "Each hour, for each VM: **price = regular × ∏ (1 − discount)** over the optimisations that it has. It has at most one of "
            "each slot; harvest and spot are prices net of everything else. An optimisation takes its share of what those before it "
            "left, in this order. Where a requirement was broken, the hour is billed at the regular price."
        )
        st.dataframe(
            pl.DataFrame(
                {
                    "optimisation": [each.title for each in TREATMENTS],
                    "slot": [each.slot for each in TREATMENTS],
                    "takes off, %": [100 * off[each.name] for each in TREATMENTS],
                }
            ),
            hide_index=True, height=380,
        )  # fmt: skip


def _discounts() -> Mapping[str, float]:
    from twin.workloads.negotiation.treatments import discounts

    return discounts()


def asked(listen: Listening) -> Answer:
    """Return what the closed form makes of the classes of the scenario: the average cut, its band, each optimisation alone."""
    said = reading.settings(listen.run_id)
    classes, part, off = said.get("classes", "survey"), said.get("partial_share"), tuple(sorted((said.get("discounts") or {}).items()))

    def work() -> Any:
        from policies.systems.workload_intelligence.prices import Prices
        from twin.workloads.negotiation.classes import named

        prices = Prices(named(classes).values(), partial_share=part, taken_off=dict(off))
        return prices.average(), prices.band(), prices.best_alone()

    return later.ask("price-band", (str(state.home()), classes, part, off), work, wait_s=later.BLINK_S)


def band(listen: Listening) -> Answer:
    """Show where the average price cut lies for other samples of the survey, beside the published one and this run's."""
    answer = asked(listen)
    if not answer.ready or answer.why:
        if answer.why:
            parts.failed("The price band is not known", answer.why, key="workloads-band")
        return answer
    average, found, best = answer.value
    mine = reading.cut_share(reading.bill(listen.home, listen.run_id))
    low, high = 100 * found.low_share, 100 * found.high_share
    title = f"All {_classes(listen)} classes of the survey would pay {100 * average:.1f}\u00a0% less, {low:.1f} to {high:.1f} by the sample"
    with parts.panel(title, "workloads-band", png=True):
        tokens = state.colours()
        points = {"paper": PAPER_SHARE, "closed form": average, "best one each": best, **({} if mine is None else {"this run": mine})}
        drawing(
            band_svg(points, (found.low_share, found.high_share), tokens),
            narrow=band_svg(points, (found.low_share, found.high_share), tokens, narrow=True), key="workloads-band-drawing",
        )  # fmt: skip
        note(
            "Band: 5 to 95 of 100 draws of 188 answers. One number is fitted to the published average: how many VMs a partial hint covers. "
            "This run has its own workloads and a surplus that ends."
        )
    return answer


def _classes(listen: Listening) -> str:
    classes = reading.settings(listen.run_id).get("classes", "survey")
    return "twelve" if classes == "survey" else ""


_SQL: Final = (
    "SELECT optimisation, sum(saved_usd) AS saved_usd FROM offers WHERE run_id = '{run_id}' GROUP BY optimisation ORDER BY saved_usd DESC"
)
