"""Panel of who gets which optimisation, and what is missing for more."""

from typing import Any, Final

import polars as pl

from app import parts, state
from app.charts import matrix
from app.charts.statements import plainly
from app.views.workloads import reading
from app.views.workloads.lanes import note
from app.views.workloads.reading import Listening
from app.widgets.talk import talk


def granted(listen: Listening) -> None:
    """Draw the matrix of the hour that the cursor is in; a cell says its numbers, a click takes its workload into focus."""
    offers = reading.table(listen.run_id, "offers")
    end_s = matrix.hour_of(offers, listen.now.t_s)
    if end_s is None:
        parts.empty(
            "Nothing was offered in this run", "Its platform treats every VM alike; choose another policy above.", key="workloads-offers"
        )
        return
    hour = offers.filter(pl.col("t_s") == end_s)
    found = matrix.cells(hour)
    everyone = reading.workloads(listen.home, listen.run_id)
    with parts.panel(title(found, everyone), "workloads-offers", data=hour, sql=_SQL.format(run_id=listen.run_id, t=end_s), png=True):
        drawn: dict[str, Any] = {"chosen": listen.whose}
        talk(
            matrix.matrix_svg(found, everyone, state.colours(), **drawn),
            narrow=matrix.matrix_svg(found, everyone, state.colours(), narrow=True, **drawn),
            key="workloads-matrix",
            turns="slim",
            hint="Point at a square for its numbers and the key of its hint; click it to look at its workload.",
            on_pick=lambda workload: state.listen(whose=workload),
        )
        clock = listen.now.clock
        note(f"The hour up to {clock.at(end_s):%H:%M}. A square is filled as far as VMs of the workload have it.")


def title(found: dict[tuple[str, str], matrix.Cell], workloads: tuple[str, ...]) -> str:
    """Return how many of the workloads get anything, and which hint would bring the most to others."""
    having = {workload for (workload, _), cell in found.items() if cell.state == "granted"}
    by: dict[str, float] = {}
    for cell in found.values():
        if cell.key and cell.state == "missing":
            by[cell.key] = by.get(cell.key, 0.0) + cell.vm_hours.get("missing", 0.0)
    most = max(by, key=lambda key: by[key], default="")
    none = [name for name in workloads if name not in having]
    if not having:
        return "Nobody gets an optimisation"
    head = "Every workload gets an optimisation" if not none else f"All but {_some(none)} get an optimisation"
    return f"{head}; the hint most often missing: {matrix.asked_for(most)}" if most else head


def _some(names: list[str]) -> str:
    return plainly(names[0]) if len(names) == 1 else f"{len(names)} workloads"


_SQL: Final = "SELECT * FROM offers WHERE run_id = '{run_id}' AND t_s = {t:.0f} ORDER BY workload_id, optimisation"
