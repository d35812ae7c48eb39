"""What did platform and workloads tell each other; what did it save?"""

import polars as pl
import streamlit as st

from app import later, parts, state
from app.charts.quantity import grouped
from app.charts.statements import named
from app.views.workloads import chain, granted, hints, lanes, pools, prices, reading, requirements
from app.views.workloads.reading import Listening
from twin.units import show as shown


def show() -> None:
    """Show the page."""
    if not parts.no_run("workloads"):
        _live()


@st.fragment
def _live() -> None:
    now = state.context()
    if not reading.negotiates(now.run_id or ""):
        parts.page_title("Nobody negotiates in this run", f"{now.scenario} · seed {now.seed}", legend=False)
        parts.empty(
            "Its VMs are opaque",
            "Hints, notices, answers and prices would stand here. Name the workloads that negotiate in the scenario, "
            "under [[workloads.negotiation.tenants]], and run it.",
            key="workloads-none",
        )
        return
    listen = reading.listening(now)
    parts.page_title(title(listen), under(listen))
    place = st.container(key="workloads-waiting")
    left, right = st.columns([738, 430], gap="small")
    with left:
        lanes.lanes(listen)
        chain.chain(listen)
        requirements.requirements(listen)
    with right:
        granted.granted(listen)
        prices.waterfall(listen)
        waiting = [prices.band(listen)]
        pools.pools(listen)
    waiting += hints.hints(listen)
    with place:
        later.follow(waiting, state.in_step, key="workloads")


def title(listen: Listening) -> str:
    """Return what workloads gave back where power was short, what they pay less, and whether a requirement is broken."""
    cut = reading.cut_share(reading.bill(listen.home, listen.run_id))
    pay = "pay the regular price" if cut is None or cut < 5e-5 else f"pay {100 * cut:.1f}\u00a0% less"
    kept = requirements.worst(listen.home, listen.run_id)
    broken = any(each.state == "broken" for each in kept)
    found = reading.chains(listen.home, listen.run_id)
    mine = found.filter(pl.col("chain_id") == listen.chain) if listen.chain is not None and not found.is_empty() else found.head(0)
    if len(mine):
        row = mine.row(0, named=True)
        if row["urgent"] == 3 and (row["value"] or 0.0) > 0.0:
            return f"Workloads gave {shown(float(row['value']), 'x_w')} back to {_down(named(row['place_id'], 'row'))} and {pay}"
    lost = pools.turned_away_words(listen.run_id) if listen.now.shown == "today" and not broken else ""
    return f"Workloads {pay}; {lost or _down(requirements.title(kept))}"


def under(listen: Listening) -> str:
    """Return one line of context: the window, notices and answers in it, how many notices came in time, whose policy."""
    clock = listen.now.clock
    parts_ = [f"{clock.at(listen.window[0]):%H:%M}–{clock.at(listen.window[1]):%H:%M}"]
    inside = reading.within(listen.home, listen.run_id, listen.window)
    if not inside.is_empty():
        told = inside.filter(pl.col("kind") == "notice")
        vms = int(told["vms"].sum())
        parts_.append(f"{grouped(vms)} VM{' was' if vms == 1 else 's were'} told of something" if vms else "nobody was told of anything")
    honoured = state.metric(listen.run_id, "workloads.notices_honoured_share")
    if honoured is not None:
        late = "every event came after its lead time" if honoured >= 1.0 else f"{100 * honoured:.1f}\u00a0% of events after their lead time"
        parts_.append(late)
    evicted = state.metric(listen.run_id, "workloads.evictions")
    if evicted:
        parts_.append(f"{grouped(round(evicted))} eviction{'' if round(evicted) == 1 else 's'} a day")
    policy = "today’s policy" if listen.now.shown == "today" else f"candidate {state.name_of(listen.run_id)}"
    return " · ".join([*parts_, policy, f"seed {listen.now.seed}"])


def _down(words: str) -> str:
    return words[:1].lower() + words[1:]
