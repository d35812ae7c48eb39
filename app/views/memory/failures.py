"""What is lost when a device, a cable or a switch fails, and who feels it."""

import html
from typing import Any, Final

import polars as pl
import streamlit as st

from app import later, parts, state
from app.charts.grid import grid, word
from app.charts.pod import links, node_of
from app.charts.statements import count, named
from app.later import Answer
from app.pods import Draft
from app.views.memory import reading, topology
from app.widgets.sheet import sheet
from twin.memory.pods import Pod
from twin.units import show

_NAMED: Final = 8
_HEADS: Final = (word("While it is gone"), word("", "n"), word("Who"))


def failures(now: state.Context, draft: Draft, pod: Pod) -> list[Answer]:
    """Let parts of the pod be taken out, and say what that costs; return what it waits for."""
    lost = tuple(name for name in draft.lost if name in _parts(pod))
    if not lost:
        with parts.panel("Nothing is lost; take something out to see what it costs", "pod-failures"):
            _controls(draft, pod, lost)
        return []
    found = what_if(now, draft, pod, lost)
    failure = found.value
    with parts.panel(failures_title(lost, found), "pod-failures", data=_frame(failure) if failure is not None else None):
        _controls(draft, pod, lost)
        if failure is not None:
            cells = [[word(line["what"], "label"), word(line["much"], "n b"), word(line["who"], "m s wrap")] for line in told(failure)]
            sheet(grid(_HEADS, cells), key="pod-failure-rows")
            st.html(
                '<p class="iw-note">At the peak of the demand before the run; what lay on a lost part is taken to be spread evenly over a '
                "host’s devices, the need is the least capacity that holds all of it.</p>"
            )
        elif found.why:
            st.html(f'<p class="iw-note">{parts.mark("at risk", "")} {html.escape(found.why)}</p>')
    return [found]


def what_if(now: state.Context, draft: Draft, pod: Pod, lost: tuple[str, ...]) -> Answer:
    """Return what the loss of these parts costs, from the demand at its peak before the run."""
    demand = reading.peak_demand(now, pod, draft.pooled_share)
    if not demand.ready or demand.why:
        return demand

    def work() -> Any:
        from twin.memory import failures

        return failures.what_if(pod, demand.value, **gone(pod, lost))

    return later.ask("failure", (demand.key[1], lost), work, wait_s=later.BLINK_S)


def gone(pod: Pod, lost: tuple[str, ...]) -> dict[str, list[Any]]:
    """Return what is lost as indices: devices, switches, and links as host and port, all from 0."""
    numbers = {letter: [int(node[1:]) for name in lost if (node := node_of(name)) and node[0] == letter] for letter in "ds"}
    ports = [name.partition("/port-") for name in lost if name in links(pod)]
    return {
        "devices": numbers["d"],
        "switches": numbers["s"],
        "links": [(int(host.removeprefix("host-")) - 1, int(port) - 1) for host, _, port in ports],
    }


def failures_title(lost: tuple[str, ...], found: Answer) -> str:
    """Return what is lost and what it costs, in a sentence."""
    subject = "Losing " + (_words(lost[0]) if len(lost) == 1 else f"{len(lost)} parts")
    failure = found.value
    if failure is None:
        return f"{subject}: {'what it costs is being worked out' if not found.ready else 'what it costs is not known'}"
    hosts, pairs = len(failure.hosts_hit), len(failure.pairs_lost)
    more = show(failure.more_capacity_share, "x_share")
    grow = "no device must be larger" if failure.more_capacity_share < 5e-4 else f"devices must be {more} larger"
    return f"{subject} costs {count(hosts, 'host')} a way to memory and {count(pairs, 'one-hop pair')}; {grow}"


def _words(name: str) -> str:
    host, _, port = name.partition("/port-")
    return f"port {port} of {host.replace('-', ' ')}" if port else name.replace("-", " ")


def told(failure: Any) -> list[dict[str, str]]:
    """Return the lines of the table: what, how much, who."""
    hosts = len(failure.devices_lost)
    before, after = show(failure.need_before_bytes, "x_bytes"), show(failure.need_after_bytes, "x_bytes")
    pairs = [f"{one + 1}–{other + 1}" for one, other in failure.pairs_lost[:_NAMED].tolist()]
    shares = [show(share, "x_share") for share in (failure.one_hop_before_share, failure.one_hop_after_share)]
    found = [
        ("Hosts that lose a device", f"{len(failure.hosts_hit)} of {hosts}", _some([f"host-{h + 1}" for h in failure.hosts_hit.tolist()])),
        ("One-hop pairs lost", str(len(failure.pairs_lost)), _some(pairs, len(failure.pairs_lost), "hosts ")),
        ("One-hop pairs left", shares[1], f"{shares[0]} before"),
        ("Memory that lay there", show(failure.lost_bytes, "x_bytes"), "is placed again on what is left"),
        ("Capacity a device needs", after, f"{before} before"),
        ("Hosts cut off", str(len(failure.isolated)), _cut(failure)),
    ]
    return [{"what": what, "much": much, "who": who} for what, much, who in found]


def _some(names: list[str], whole: int | None = None, lead: str = "") -> str:
    total = len(names) if whole is None else whole
    if not total:
        return "none"
    rest = f" and {total - min(_NAMED, len(names))} more" if total > _NAMED else ""
    return lead + ", ".join(names[:_NAMED]) + rest


def _cut(failure: Any) -> str:
    if not len(failure.isolated):
        return "every host reaches a device"
    return f"{_some([f'host-{h + 1}' for h in failure.isolated.tolist()])}: {show(failure.stranded_bytes, 'x_bytes')} fit nowhere"


def _frame(failure: Any) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "host": [f"host-{host + 1}" for host in range(len(failure.devices_lost))],
            "devices_lost": failure.devices_lost,
            "one_hop_peers_lost": [int((failure.pairs_lost == host).any(axis=1).sum()) for host in range(len(failure.devices_lost))],
        }
    )


def _parts(pod: Pod) -> list[str]:
    switches = [f"switch-{number + 1}" for number in range(pod.switches)]
    return [*switches, *(f"device-{number + 1}" for number in range(pod.devices)), *links(pod)]


def _controls(draft: Draft, pod: Pod, lost: tuple[str, ...]) -> None:
    key = f"pod-take-out-{pod.name}-{len(lost)}"
    left = [name for name in _parts(pod) if name not in lost]

    def take() -> None:
        # A control that is gone tells its value once more with the next run of a fragment.
        if (name := st.session_state.get(key)) and state.drafted().get("lost", "") == " ".join(draft.lost):
            topology.toggle(draft, name)

    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="pod-lost"):
        st.selectbox(
            "Take out", left, index=None, placeholder="Take out a device, switch or host port", key=key, on_change=take,
            label_visibility="collapsed", width=280,
        )  # fmt: skip
        for name in lost:
            words = named(_words(name))
            st.button(f"Put back {words[:1].lower()}{words[1:]}", key=f"pod-back-{name}", on_click=topology.toggle, args=(draft, name))
        if len(lost) > 1:
            st.button("Put all back", key="pod-back-all", on_click=lambda: state.set_draft(lost=None))
