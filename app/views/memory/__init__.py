"""Which pod should I build, and does it hold the demand?"""

import streamlit as st

from app import later, parts, pods, state
from app.charts.quantity import grouped
from app.charts.statements import count
from app.pods import Draft, Found
from app.views.memory import allocators, demand, designer, failures, front, properties, reading, topology


def show() -> None:
    """Show the page: designer, topology and matrix, cost front and properties, demand, allocators, failures."""
    _live()


@st.fragment
def _live() -> None:
    now = state.context()
    draft = pods.draft(reading.settings_of(now), reading.first_of(now))
    found = pods.find(draft.ask)
    # Asked before anything is drawn: what comes in while the page is drawn draws it once more.
    waiting = reading.asked(now, draft, found)
    parts.page_title(title(now, draft, found), under(draft, found), legend=False)
    place = st.container(key="memory-waiting")
    left, right = st.columns([234, 934], gap="small")
    with left:
        designer.designer(draft, found)
    with right:
        if found.pod is None:
            designer.refused(found)
        else:
            first, second = st.columns(2, gap="small")
            with first:
                topology.topology(draft, found.pod)
            with second:
                topology.matrix(draft, found.pod)
            waiting += failures.failures(now, draft, found.pod)
        first, second = st.columns(2, gap="small")
        with first, st.container(key="memory-front"):
            front.front(now, draft, found)
        with second:
            waiting += properties.properties(now, draft, found)
        front.listed(now, draft, found)
    with st.container(key="memory-demand"):
        demand.demand(now)
    with st.container(key="memory-allocators"):
        allocators.allocators(now, draft, found)
    with place:
        later.follow(waiting, state.in_step, key="memory")


def title(now: state.Context, draft: Draft, found: Found) -> str:
    """Return what the pod is, whether it holds the demand before the run, and what it costs; as far as it is known."""
    if found.pod is None or found.design is None:
        return "No pod of these numbers can be built"
    name, figures = named(found), reading.figures(found.pod, draft)[0]
    if figures.too_long:
        return f"{name} has {count(figures.too_long, 'cable')} too long for copper"
    if figures.cost_usd is None:
        return name
    usd = f"{grouped(round(figures.cost_usd))} USD a host"
    tried = reading.option(now, found.design.name, draft).value
    if tried is None:
        return f"{name} costs {usd}"
    overflow = tried.metrics["memory.overflow_events"]
    return f"{name} holds the demand for {usd}" if overflow <= 0 else f"{name} costs {usd} and lacks room for some of the demand"


def named(found: Found) -> str:
    """Return a pod as the subject of a sentence.

    >>> from app.pods import FIRST, find
    >>> named(find(FIRST))
    'A pod of 96 hosts in six islands'
    """
    ask = found.ask
    match ask.kind:
        case "islands":
            return f"A pod of {ask.hosts} hosts in {count(ask.islands, 'island')}"
        case "block_design":
            return f"A pod of {ask.hosts} hosts, any two on one device,"
        case "switch":
            return f"A pod of {ask.hosts} hosts behind {ask.host_ports} switches"
        case "fully_connected":
            return f"A fully connected pod of {ask.hosts} hosts"
        case "complete":
            return f"A pod of {ask.hosts} hosts with a device for each pair"
        case _:
            return f"A pod of {ask.hosts} hosts, drawn at random,"


def under(draft: Draft, found: Found) -> str:
    """Return one line of context: sizes, and what the pod is held against."""
    if found.pod is None:
        return "Change a number, or take one of the nearest designs."
    pod = found.pod
    cables = reading.reach(pod).links
    ports = f" with {pod.device_ports} ports" if not pod.switches else f" behind {pod.switches} switches"
    return f"{pod.devices} devices{ports}, {cables} cables, 3 racks · against a fully connected pod of 8 hosts · prices {draft.prices}"
