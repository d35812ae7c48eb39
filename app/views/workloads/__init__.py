"""What did platform and workloads tell each other; what did it save?"""

import streamlit as st

from app import parts, state
from app.views.workloads import reading


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
