"""Which pod should I build, and does it hold the demand?"""

import streamlit as st

from app import parts, pods, state
from twin.memory.settings import Settings


def show() -> None:
    """Show the page: designer, topology and matrix, cost front and properties, demand, allocators, failures."""
    now = state.context()
    draft = pods.draft(Settings())
    parts.page_title(f"A pod of {draft.ask.hosts} hosts", f"Pods for the CPU hosts of {now.scenario}", legend=False)
    left, right = st.columns([234, 934], gap="small")
    with left, st.container(key="memory-designer"):
        pass
    with right:
        first, second = st.columns(2, gap="small")
        with first, st.container(key="memory-topology"):
            pass
        with second, st.container(key="memory-matrix"):
            pass
        first, second = st.columns(2, gap="small")
        with first, st.container(key="memory-front"):
            pass
        with second, st.container(key="memory-properties"):
            pass
    with st.container(key="memory-demand"):
        pass
    with st.container(key="memory-allocators"):
        pass
    with st.container(key="memory-failures"):
        pass
