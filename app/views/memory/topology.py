"""The pod as a figure, its matrix beside it; a host is picked in either."""

import html
from typing import Final

import polars as pl
import streamlit as st

from app import parts, state
from app.charts.incidence import incidence_svg
from app.charts.pod import links, name_of, pod_svg
from app.charts.tokens import LIGHT
from app.pods import Draft
from app.views.memory import reading
from app.views.memory.controls import select
from app.widgets.pod import pod_drawing
from twin.memory.pods import Pod

_FIGURE: Final = "pod-figure"
_MATRIX: Final = "pod-matrix"


def topology(draft: Draft, pod: Pod) -> None:
    """Draw the pod; hover lights, a click on a host looks at it, on a device or switch takes it out or puts it back."""
    host = min(draft.host, pod.hosts - 1)
    save = parts.Save("SVG", f"{pod.name}.svg", "image/svg+xml", lambda: pod_svg(pod, LIGHT, host=host, lost=draft.lost))
    with parts.panel(topology_title(pod, host), "pod-topology", saves=(save,)):
        pod_drawing(pod_svg(pod, state.colours(), lost=draft.lost), f"h{host}", key=_FIGURE, on_pick=lambda node: _picked(pod, draft, node))
        _picker(pod, host)


def matrix(draft: Draft, pod: Pod) -> None:
    """Draw which host uses which device; a click on a cell takes that cable out or puts it back."""
    host = min(draft.host, pod.hosts - 1)
    saves = (
        parts.Save("Matrix CSV", f"{pod.name}-matrix.csv", "text/csv", lambda: matrix_frame(pod).write_csv()),
        parts.Save("SVG", f"{pod.name}-matrix.svg", "image/svg+xml", lambda: incidence_svg(pod, LIGHT, host=host, lost=draft.lost)),
    )
    with parts.panel(matrix_title(pod), "pod-incidence", saves=saves):
        svg = incidence_svg(pod, state.colours(), lost=draft.lost)
        pod_drawing(svg, f"h{host}", key=_MATRIX, on_pick=lambda at: _picked(pod, draft, at))


def topology_title(pod: Pod, host: int) -> str:
    """Return how far a host reaches."""
    hops = reading.reach(pod).hops[host]
    one, two = int((hops == 1).sum()), int(((hops == 1) | (hops == 2)).sum())
    if one == pod.hosts - 1:
        return f"Host {host + 1} reaches all {one} others in one hop"
    return f"Host {host + 1} reaches {one} hosts in one hop, {two} in two"


def matrix_title(pod: Pod) -> str:
    """Return how many devices a host uses."""
    reached = pod.reach.shape[1]
    return f"Every host uses all {reached} devices" if reached == pod.devices else f"Every host uses {reached} of {pod.devices} devices"


def _picked(pod: Pod, draft: Draft, at: str) -> None:
    host, _, device = at.partition("/")
    if device and not pod.switches:
        port = next((name for name, pair in links(pod).items() if pair == (host, device)), None)
        if port is not None:
            toggle(draft, port)
    elif host[0] == "h":
        look_at(int(host[1:]))
    else:
        toggle(draft, name_of(host))


def look_at(host: int) -> None:
    """Light another host."""
    state.set_draft(host=str(host + 1))


def toggle(draft: Draft, name: str) -> None:
    """Take a device, a switch or a host's port out, or put it back."""
    lost = [one for one in draft.lost if one != name]
    if len(lost) == len(draft.lost):
        lost.append(name)
    state.set_draft(lost=" ".join(lost) or None)


def _picker(pod: Pod, host: int) -> None:
    names = [f"host-{number + 1}" for number in range(pod.hosts)]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="pod-picker"):
        select("Host", names, names[host], f"pod-host-{pod.hosts}", lambda name: look_at(names.index(name)), width=120)
        st.html(f'<p class="iw-note">{html.escape(_hint(pod))}</p>', width="stretch")


def _hint(pod: Pod) -> str:
    what = "device or switch" if pod.switches else "device"
    return f"Point at a host to light who is one hop away. Click a {what} to take it out."


def matrix_frame(pod: Pod) -> pl.DataFrame:
    """Return the matrix as a table: a row a host, a column a device, 1 where the host reaches it."""
    columns = {f"device-{device + 1}": pod.incidence[:, device].astype("int8") for device in range(pod.devices)}
    return pl.DataFrame({"host": [f"host-{host + 1}" for host in range(pod.hosts)], **columns})
