"""Panel of the library: models and tools, their profiles and sources."""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl
import streamlit as st

from app import parts, state
from app.views.memory.controls import select
from app.views.workflows import reading
from app.views.workflows.reading import Looking
from app.views.workflows.stage import profile_row
from app.views.workloads.lanes import note
from app.widgets.rows import Head, rows
from twin.units import show
from twin.workflows.executors import Executor
from twin.workflows.library import data_type, fitted

_HEADS: Final = (
    Head("who", "Executor", "strong", "22%"),
    Head("does", "Stage", "text", "14%", narrow=False),
    Head("where", "An instance", "text", "18%"),
    Head("item", "An item", "number", "9%"),
    Head("batch", "At once", "number", "8%", narrow=False),
    Head("quality", "Quality, %", "number", "9%"),
    Head("strength", "Number is", "muted", "8%", narrow=False),
    Head("source", "Source", "muted", "13%", narrow=False),
)
_KEY: Final = "workflows-library-whose"
_MINE: Final = "of this workflow"
_ALL: Final = "all"


def library(look: Looking) -> None:
    """List executors with their profiles, where each number is from, and how strong that is."""
    whose = st.session_state.get(_KEY, _MINE)
    executors = of_workflow(look) if whose == _MINE else look.there.executors
    with parts.panel(title(look.there.executors, look.there.settings.library), "workflows-library", data=table(look.there.executors)):
        select("Executors", [_MINE, _ALL], whose, "workflows-library-pick", lambda one: _set(one), width=170)
        rows(_HEADS, [row for each in executors for row in _rows(each)], state.colours(), key="workflows-library-rows")
        note(
            "An item: alone, on one warm instance. Data holds watts, starts and prices, too. The command intentwin import executors FILE "
            "brings a library of your own, which library under [workflows] names."
        )


def _set(value: str) -> None:
    st.session_state[_KEY] = value


def of_workflow(look: Looking) -> tuple[Executor, ...]:
    """Return the executors that give what a stage of the workflow gives."""
    wanted = {stage.gives for stage in look.graph.stages}
    return tuple(each for each in look.there.executors if wanted & set(each.gives))


def title(executors: Sequence[Executor], name: str) -> str:
    """Return how many executors a library has here, and how many of their profiles were fitted."""
    profiles = sum(len(each.profiles) for each in executors)
    own = "" if name == "packaged" else f" of library {name.removeprefix('import:')}"
    number = fitted(executors)
    said = f"{number} of them fitted to published results" if number else "none of them fitted"
    return f"{len(executors)} executors{own} can be used here, with {profiles} profiles, {said}"


def _rows(executor: Executor) -> list[dict[str, Any]]:
    does = ", ".join(data_type(name).title for name in executor.gives)
    return [
        {
            "id": f"{executor.id}/{index}", "who": executor.title, "does": does, "where": reading.of_profile(profile),
            "item": show(profile.item_s, "x_s"), "batch": f"{profile.batch_at_most}", "quality": f"{100 * executor.quality_share:.3g}",
            "strength": profile.strength, "source": profile.source,
        }
        for index, profile in enumerate(executor.profiles)
    ]  # fmt: skip


def table(executors: Sequence[Executor]) -> pl.DataFrame:
    """Return what *Data* shows: a row a profile, with every number."""
    found = [
        {
            "executor": each.id, "title": each.title, "kind": each.kind, "model": each.model, "reads": ", ".join(each.reads),
            "gives": ", ".join(each.gives), "quality_share": each.quality_share, **profile_row(profile),
        }
        for each in executors
        for profile in each.profiles
    ]  # fmt: skip
    return pl.DataFrame(found)
