"""Panel of one chain of messages: five dots, and who did what."""

from typing import Any, Final

import streamlit as st

from app import parts, state
from app.charts import chains as story
from app.charts.chain_dots import chain_svg
from app.charts.chain_table import table
from app.charts.statements import plainly
from app.views.workloads import reading
from app.views.workloads.lanes import go_to, note
from app.views.workloads.reading import Listening
from app.widgets.drawing import drawing
from app.widgets.rows import Head, rows
from twin.units import show

_MARKS: Final = {"accepted": "✓", "declined": "✕", "ignored": "◌", "open": "○"}
_HEADS: Final = (
    Head("workload", "Workload", "strong", "19%"),
    Head("notice", "Notice", "muted", "19%", narrow=False),
    Head("answer", "Answer", "muted", "20%"),
    Head("done", "What was done", "muted", "24%", narrow=False),
    Head("lead", "Lead, s", "number", "9%"),
    Head("vms", "VMs", "value", "9%", narrow=False),
)


def chain(listen: Listening) -> None:
    """Show the chosen chain from cause to effect; without one, where the nearest is."""
    if listen.chain is None:
        parts.empty(
            "No event led to a notice in this run",
            "What could not wait would stand here, from its cause over notices and answers to what it brought.",
            key="workloads-chain",
        )
        return
    whole, notices = reading.chain(listen.home, listen.run_id, listen.chain)
    messages = story.episode(whole, listen.window)
    with parts.panel(
        story.title(messages), "workloads-chain", data=messages, sql=_SQL.format(run_id=listen.run_id, chain=listen.chain), png=True
    ):
        tokens, clock, dots = state.colours(), listen.now.clock, story.steps(messages)
        drawing(chain_svg(dots, clock, tokens), narrow=chain_svg(dots, clock, tokens, narrow=True), key="workloads-chain-dots")
        if len(messages) < len(whole):
            lasts = f"{clock.at(float(whole['t_s'][0])):%H:%M} to {clock.at(float(whole['t_s'][-1])):%H:%M}"
            note(f"It lasts from {lasts}, {len(whole)} messages; told here is what happened in the part of the day above.")
        elif float(messages["t_s"][0]) > listen.window[1] or float(messages["t_s"][-1]) < listen.window[0]:
            with st.container(horizontal=True, vertical_alignment="center", gap="small", key="workloads-elsewhere"):
                note("The nearest chain; it is not in the part of the day above.")
                st.button("Go there", key="workloads-go", type="tertiary", on_click=go_to, args=(listen, listen.chain))
        found = table(messages, notices)
        if found:
            rows(_HEADS, [_row(each) for each in found], tokens, key="workloads-chain-rows", on_pick=_picked)
            note(_foot(found))


def _row(each: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": each["workload_id"],
        "workload": plainly(each["workload_id"]),
        "notice": each["notice"],
        "answer": {"text": each["answer"], "lead": _MARKS.get(each["answer_first"], "○")},
        "done": each["done"],
        "lead": "–" if each["lead_s"] is None else f"{each['lead_s']:.0f}",
        "vms": f"{each['vms']}",
    }


def _foot(found: list[dict[str, Any]]) -> str:
    leads = [each["lead_s"] for each in found if each["lead_s"] is not None]
    words = "Lead: the shortest time from the notice’s reaching a VM to its event; less than announced where it answered that it was ready."
    returned = sum(each["returned"] or 0.0 for each in found)
    if returned:
        words += f" These VMs drew {show(returned, 'x_w')}."
    return words if leads else f"{words} Nothing took place, so there is none."


def _picked(workload: str) -> None:
    state.listen(whose=workload)


_SQL: Final = "SELECT * FROM messages WHERE run_id = '{run_id}' AND chain_id = {chain} ORDER BY message_id"
