"""What the pod comes to beside the fully connected one, and what is asked."""

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
import streamlit as st

from app import asked, desk, parts, state
from app.charts import marks
from app.charts.grid import Cell, grid, word
from app.later import Answer
from app.pods import Draft, Found, find, parse
from app.views.memory import reading
from app.views.memory.reading import Figures
from app.widgets.sheet import sheet
from policies.intent.judge import standing
from policies.intent.model import Expectation
from policies.intent.references import references, settled
from twin.memory import latency
from twin.memory.pods import Pod
from twin.memory.reach import BEYOND, Reach
from twin.memory.saving import BASELINES
from twin.metrics import METRICS
from twin.units import MINUS, show

PLAIN: Final = "fully-connected-8x8n8"
_HEADS: Final = (
    word("Property, unit"), word("This pod", "n"), word("Full, 8", "n rest"), word("Change", "n rest"), word("Bound", "n"), word("State"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One property: its value here and in the plain pod, how both are shown, and what bounds it.

    ``better`` is lower or higher, empty where neither is better. ``wait`` says that the value is being worked out.
    """

    label: str
    value: float | None
    plain: float | None
    words: Callable[[float], str]
    better: str = ""
    metric: str = ""
    limit: float | None = None
    wait: bool = False


def properties(now: state.Context, draft: Draft, found: Found) -> list[Answer]:
    """Show the properties of the pod with the bounds of the intents that stand; return what it waits for."""
    pod = found.pod
    if pod is None or found.design is None:
        return []
    mine, layout = reading.figures(pod, draft)
    demand, need = reading.option(now, found.design.name, draft), reading.need(now, pod, draft.pooled_share)
    lines = _lines(now, draft, mine, layout, demand, need)
    wishes = wished(now, draft)
    drawn = [_row(line, wishes) for line in lines]
    data = pl.DataFrame([{"property": line.label, "value": line.value, "fully_connected_8": line.plain} for line in lines], strict=False)
    with parts.panel(properties_title(drawn, wishes), "pod-properties", data=data):
        sheet(grid(_HEADS, [_cells(row) for row in drawn]), key="pod-properties-rows")
        for words in dict.fromkeys(filter(None, (mine.why, demand.why, "" if need.why == demand.why else need.why))):
            st.html(f'<p class="iw-note">{parts.mark("at risk", "")} {html.escape(words)}</p>')
        st.html(f'<p class="iw-note">{html.escape(_notes(now, pod, demand))}</p>')
    return [layout, demand, need]


def _lines(now: state.Context, draft: Draft, mine: Figures, layout: Answer, demand: Answer, need: Answer) -> list[Line]:
    plain_pod = find(_plain_ask()).pod
    plain = reading.figures(plain_pod, draft)[0] if plain_pod is not None else None
    other = reading.option(now, PLAIN, draft)
    other_need = reading.need(now, plain_pod, draft.pooled_share) if plain_pod is not None else None
    saving = "memory.dram_saving_share"

    def saved(answer: Answer) -> float | None:
        return None if answer.value is None else float(answer.value.metrics[saving])

    def of(figures: Figures | None, name: str) -> float | None:
        return None if figures is None else getattr(figures, name)

    def both(name: str) -> tuple[float | None, float | None]:
        return of(mine, name), of(plain, name)

    limit_m = layout.value.limit_m if layout.value is not None else None
    factors = need.value, other_need.value if other_need else None
    return [
        Line("DRAM not bought, %", saved(demand), saved(other), _percent, "higher", saving, wait=not demand.ready),
        Line("Cost a host, USD", *both("cost_usd"), _usd, "lower", "memory.cost_usd_per_host", wait=not layout.ready),
        Line("Pooled access, ns", *both("access_s"), _ns, "lower", "memory.access_latency_s"),
        Line("One-hop call, µs", *both("rpc_s"), _us, "lower"),
        Line("Two-hop call, µs", *both("rpc_two_hops_s"), _us, "lower"),
        Line("One-hop pairs, %", *both("one_hop_share"), _percent, "higher"),
        Line("Two-hop pairs, %", *both("two_hop_share"), _percent, "higher"),
        Line("Longest cable, m", *both("longest_m"), lambda m: f"{m:.2f}", "lower", limit=limit_m, wait=not layout.ready),
        Line("Hosts hit by a lost device", *both("blast_hosts"), lambda n: f"{n:.0f}", "lower"),
        Line("Need at 10 % lost, ×", *factors, lambda x: f"{x:.2f}", "lower", wait=not need.ready),
    ]


def _plain_ask() -> Any:
    ask = parse(PLAIN)
    assert ask is not None
    return ask


def _percent(value: float) -> str:
    return show(value, "x_share").removesuffix("\u00a0%")


def _usd(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\u00a0")


def _ns(value: float) -> str:
    return f"{1e9 * value:.0f}"


def _us(value: float) -> str:
    return f"{1e6 * value:.2f}"


def wished(now: state.Context, draft: Draft) -> list[tuple[str, Expectation]]:
    """Return what the intents that stand ask of memory, changes of cost as bounds by themselves."""
    settings = reading.settings_of(now).model_copy(update={"prices": draft.prices, "cable_slack_m": draft.slack_m})
    look = references(settings)
    return [
        (record.intent_id, wish)
        for record in desk.standing()
        for wish in settled(asked.understood(record), look).expectations
        if wish.metric.startswith("memory.") and not wish.relative
    ]


def _row(line: Line, wishes: list[tuple[str, Expectation]]) -> dict[str, Any]:
    mine = [wish for _, wish in wishes if wish.metric == line.metric]
    # Of several bounds the tightest is the one to look at.
    wish = min(mine, key=lambda one: one.value if one.op == "<=" else -one.value) if mine else None
    if line.limit is not None:
        bound, stands = f"≤ {line.words(line.limit)}", _against(line.value, line.limit)
    elif wish is not None:
        bound, stands = f"{'≤' if wish.op == '<=' else '≥'} {line.words(wish.value)}", str(standing(wish, line.value, wish.value))
    else:
        bound, stands = "none", ""
    return {
        "property": line.label,
        "this": "…" if line.wait else "–" if line.value is None else line.words(line.value),
        "plain": "–" if line.plain is None else line.words(line.plain),
        "change": _change(line),
        "bound": bound,
        "state": "" if stands in {"", "unknown"} else stands,
    }


def _cells(row: dict[str, Any]) -> list[Cell]:
    tokens, change = state.colours(), row["change"] or {"text": "–", "sense": ""}
    ink = {"better": tokens.good_text, "worse": tokens.broken_text}.get(change["sense"], tokens.muted)
    stands = marks.state(row["state"], tokens) if row["state"] else "–"
    return [
        word(row["property"], "label"),
        word(row["this"], "n b"),
        word(row["plain"], "n m rest"),
        Cell(f'<span style="color:{ink}">{html.escape(change["text"])}</span>', "n s rest"),
        word(row["bound"], "n m"),
        Cell(stands, "s"),
    ]


def _against(value: float | None, limit: float) -> str:
    if value is None:
        return ""
    return "broken" if value > limit + 1e-9 else "at risk" if value > 0.97 * limit else "met"


def _change(line: Line) -> dict[str, str] | None:
    if line.value is None or line.plain is None:
        return None
    words, change = line.words(abs(line.value - line.plain)), line.value - line.plain
    if not any(digit in words for digit in "123456789"):
        return {"text": "0", "sense": ""}
    sense = "better" if (change < 0) == (line.better == "lower") else "worse"
    return {"text": f"{'+' if change > 0 else MINUS}{words}", "sense": sense if line.better else ""}


def properties_title(drawn: list[dict[str, Any]], wishes: list[tuple[str, Expectation]]) -> str:
    """Return what breaks, what is close, or that all holds; in words."""
    broken = [row["property"] for row in drawn if row["state"] == "broken"]
    close = [row["property"] for row in drawn if row["state"] == "at risk"]

    def plainly(label: str) -> str:
        words = label.split(",")[0]
        return words if words.startswith("DRAM") else words[:1].lower() + words[1:]

    if broken:
        return f"It breaks a bound: {', '.join(map(plainly, broken))}"
    if close:
        return f"It keeps its bounds; {' and '.join(map(plainly, close))} {'is' if len(close) == 1 else 'are'} close"
    asks = {metric for _, wish in wishes if (metric := wish.metric) in METRICS}
    return "It keeps every bound" if asks else "Nobody bounds it; copper keeps cables within 1.5 m"


def hops_words(reach: Reach) -> str:
    """Return how many hops, which is devices that a call passes, hosts are apart; each pair of hosts counts once.

    >>> from twin.memory.blocks import block_design
    >>> from twin.memory.reach import reach_of
    >>> hops_words(reach_of(block_design(25, 4)))
    'Any two hosts are one hop apart.'
    """
    # The upper triangle holds every pair once.
    pairs = reach.hops[np.triu_indices(len(reach.hops), 1)]
    words = {1: "are one hop apart", 2: "two", 3: "three", BEYOND: "farther or not tied at all"}
    shares = {hops: float(np.mean(pairs == hops)) for hops in words if (pairs == hops).any()}
    if set(shares) <= {1}:
        return "Any two hosts are one hop apart."
    told = [f"{show(share, 'x_share')} {words[hops]}" for hops, share in shares.items()]
    return f"Of all pairs of hosts {', '.join(told)}."


def _notes(now: state.Context, pod: Pod, demand: Answer) -> str:
    """Return what the numbers are held against and how strong they are: which baseline, who is how far, what a call takes elsewhere."""
    switch, rdma = 1e6 * latency.rpc_switch_s(), 1e6 * latency.rpc_rdma_s()
    apart = f"{hops_words(reading.reach(pod))} A host between two passes a call on."
    calls = (
        f"{apart} A call over a switch takes {switch:.2f} µs, by RDMA in the rack {rdma:.2f} µs; latencies are from memory, not measured."
    )
    if demand.value is None:
        return calls
    metrics, baseline = demand.value.metrics, BASELINES[reading.settings_of(now).saving_against]
    overflow, moved = metrics["memory.overflow_events"], show(metrics["memory.migrated_bytes"], "x_bytes")
    over = "nothing overflows" if overflow < 0.5 else f"{overflow:.0f} placements a day overflow"
    return f"DRAM is held against {baseline}, on the demand before the run: {over}, {moved} a day are moved aside. {calls}"
