"""The designer: kind, counts, ports, slack, pooled share, prices."""

import html
from dataclasses import replace
from typing import Final

import streamlit as st

from app import jobs, parts, pods, state
from app.pods import Ask, Draft, Found
from app.views.memory import reading
from app.views.memory.controls import select, slider
from twin.memory import prices, wiring
from twin.memory.designs import Design
from twin.memory.pods import PodKind

KINDS: Final[dict[PodKind, tuple[str, str]]] = {
    "islands": ("Islands + external", "one hop inside an island, pooling across"),
    "block_design": ("Block design", "any two hosts share exactly one device"),
    "biregular": ("Drawn at random", "no two hosts share two devices"),
    "fully_connected": ("Fully connected", "every host on every device"),
    "complete": ("A device for each pair", "devices of two ports"),
    "switch": ("Behind switches", "every host reaches every device, slowly"),
}
_MOST_PORTS: Final = 16


def designer(draft: Draft, found: Found) -> None:
    """Show the controls; each answers at once and writes the URL."""
    with parts.panel("Design the pod", "pod-design"):
        ask = draft.ask
        select("Kind", tuple(KINDS), ask.kind, "pod-kind", lambda kind: pods.ask(pods.OF_KIND[kind]), words=lambda kind: KINDS[kind][0])
        st.html(f'<p class="iw-note">{html.escape(KINDS[ask.kind][1])}</p>')
        _counts(ask, found)
        slider("Cable slack, m", draft.slack_m, (0.0, 0.5, 0.05), "pod-slack", lambda value: state.set_draft(slack=f"{value:g}"))
        st.html(f'<p class="iw-note">{html.escape(_cable_words(draft, found))}</p>')
        percent = round(100 * draft.pooled_share)
        slider("Pooled share of DRAM, %", percent, (0, 100, 5), "pod-pooled", lambda value: state.set_draft(pooled=f"{value / 100:g}"))
        names = prices.names()
        now = draft.prices if draft.prices in names else names[0]
        select("Prices", names, now, "pod-prices", lambda name: state.set_draft(prices=name))
        st.html(f'<p class="iw-note">{html.escape(_price_words(now))}</p>')
        if found.design is not None and found.pod is not None:
            _try(found.design, draft)
            _wiring(draft, found)


def _counts(ask: Ask, found: Found) -> None:
    match ask.kind:
        case "islands":
            size = max(ask.hosts // max(ask.islands, 1), 1)
            _count("Hosts", ask, "hosts", (2 * ask.islands, max(pods.HOSTS_AT_MOST, ask.hosts), ask.islands))
            slider("Islands", ask.islands, (2, 12, 1), "pod-islands", lambda n: pods.ask(replace(ask, islands=n, hosts=n * size)))
            st.html(f'<p class="iw-note">{size} hosts each</p>')
            _count("CXL ports a host", ask, "host_ports", (2, _MOST_PORTS, 1))
            st.html(f'<p class="iw-note">{ask.inside_ports} inside, {ask.host_ports - ask.inside_ports} outside</p>')
            _count("Ports a device", ask, "device_ports", (2, 8, 1))
        case "block_design":
            _count("Hosts", ask, "hosts", (3, pods.HOSTS_AT_MOST, 1))
            _count("Ports a device", ask, "device_ports", (2, 8, 1))
            if found.pod is not None:
                st.html(f'<p class="iw-note">{ask.host_ports} CXL ports a host follow from both</p>')
        case "complete":
            _count("Hosts", ask, "hosts", (2, 12, 1))
            st.html(f'<p class="iw-note">{ask.host_ports} CXL ports a host</p>')
        case _:
            _count("Hosts", ask, "hosts", (2, pods.HOSTS_AT_MOST if ask.kind == "biregular" else 32, 1))
            _count("CXL ports a host", ask, "host_ports", (1, _MOST_PORTS, 1))
            if ask.kind == "biregular":
                _count("Ports a device", ask, "device_ports", (2, 8, 1))
            elif ask.kind == "switch":
                _count("Ports a switch", ask, "switch_ports", (8, 64, 8))
            devices = found.pod.devices if found.pod is not None else None
            st.html(f'<p class="iw-note">{_device_words(ask, devices)}</p>')


def _device_words(ask: Ask, devices: int | None) -> str:
    if devices is None:
        return "no such pod"
    if ask.kind == "switch":
        return f"{ask.host_ports} switches, {devices} devices behind them"
    return f"{devices} devices of {ask.device_ports} ports"


def _count(label: str, ask: Ask, field: str, span: tuple[int, int, int]) -> None:
    def change(value: int) -> None:
        pods.ask(replace(ask, **{field: value}))  # type: ignore[arg-type]

    slider(label, getattr(ask, field), span, f"pod-{field.replace('_', '-')}", change)


def _cable_words(draft: Draft, found: Found) -> str:
    if found.pod is None:
        return "no cable to lay"
    laid = reading.laid(found.pod, draft.slack_m)
    if not laid.ready:
        return "the racks are being laid out"
    if laid.value is None:
        return laid.why
    layout: wiring.Layout = laid.value
    if not layout.too_long:
        return f"every cable within {layout.limit_m:g} m"
    return f"{100 * layout.too_long / len(layout.cable_m):.1f} % of cables longer than {layout.limit_m:g} m"


def _price_words(name: str) -> str:
    """Return how strong the prices of a table are."""
    strengths = list(prices.table(name).strengths.values())
    words = {"memory": "from memory", "fitted": "fitted", "proposed": "assumed", "measured": "your own"}
    counts = [(strengths.count(strength), words.get(strength, strength)) for strength in dict.fromkeys(strengths)]
    return "Prices: " + ", ".join(f"{number} {word}" for number, word in counts)


def refused(found: Found) -> None:
    """Say why there is no such pod, and offer the nearest ones."""
    with parts.panel("There is no such pod", "pod-refused"):
        st.html(f'<p class="iw-said">{parts.mark("broken", "")} {html.escape(found.why[:1].upper() + found.why[1:])}.</p>')
        if found.nearest:
            st.html('<p class="iw-note">The nearest that can be built</p>')
            with st.container(horizontal=True, gap="small", key="pod-nearest"):
                for place, design in enumerate(found.nearest):
                    st.button(nearest_words(design), key=f"pod-nearest-{place}", on_click=pods.ask, args=(pods.of(design),))


def nearest_words(design: Design) -> str:
    """Return a design on a button: its title, and its ports."""
    ends = "" if design.kind in {"switch", "complete"} else f" and {design.device_ports} a device"
    return f"{design.title}; {design.host_ports} ports a host{ends}"


def _wiring(draft: Draft, found: Found) -> None:
    pod = found.pod
    laid = reading.laid(pod, draft.slack_m) if pod is not None else None
    if pod is None or laid is None or laid.value is None:
        return
    count = len(laid.value.cable_m)

    def rows() -> str:
        return wiring.rows(pod, laid.value, prices.table(draft.prices)).write_csv()

    words = f"Wiring list, {count} cables"
    st.download_button(words, rows, f"{pod.name}-wiring.csv", "text/csv", key="pod-wiring", on_click="ignore", width="stretch")


def _try(design: Design, draft: Draft) -> None:
    now = state.context()
    job = jobs.latest(state.home(), "run", label=_label(design))
    busy = job is not None and not job.over
    st.button(
        "Try this pod on the twin", key="pod-try", type="primary", width="stretch", disabled=busy, on_click=_begin, args=(design, now)
    )
    if kept := _kept(draft, now):
        st.html(f'<p class="iw-note">{html.escape(kept)}</p>')
    if job is not None and busy:
        parts.progress(job.job_id, key="pod-try")
    elif job is not None and job.state == "failed" and job.error:
        st.html(f'<p class="iw-note">{parts.mark("broken", "")} {html.escape(job.error)}</p>')
    elif job is not None and job.state == "done" and job.result and job.result["run_id"] != now.candidate:
        run_id = str(job.result["run_id"])
        st.button("Show its run", key="pod-shown", width="stretch", on_click=state.set_candidate, args=(run_id,))


def _kept(draft: Draft, now: state.Context) -> str:
    """Return what the twin does not take from the designer, in words; empty where it is the same."""
    of = reading.settings_of(now)
    other = [
        words
        for words, mine, its in (
            ("cable slack", draft.slack_m, of.cable_slack_m),
            ("pooled share", draft.pooled_share, of.pooled_share),
            ("prices", draft.prices, of.prices),
        )
        if mine != its
    ]
    return f"The twin keeps the {', '.join(other)} of the scenario." if other else ""


def _label(design: Design) -> str:
    return f"Pod {design.name}"


def _begin(design: Design, now: state.Context) -> None:
    levers = {lever: [{"system": "octopus", "knobs": {"design": design.name}}] for lever in ("pod_topology", "pool_allocation")}
    policy = {"name": design.name, "levers": levers}
    spec = {"scenario": now.scenario, "policy": policy, "seed": now.seed, "label": _label(design)}
    jobs.submit("run", spec, state.home())
