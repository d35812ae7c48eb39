"""Panel of the power tree: load, rating and room of every place."""

from typing import Final

import polars as pl
import streamlit as st

from app import parts, state
from app.charts.heatmap import Plan
from app.charts.power import Node, tree_svg, tree_title
from app.views.thermal import reading
from app.widgets.drawing import drawing

ROW: Final = "_thermal_row"
RACK: Final = "_thermal_rack"


def power(home: str, run_id: str, now: state.Context, plan: Plan, rack_id: str) -> None:
    """Draw the tree at the cursor; a row opens its racks, a rack is the one that the page looks into."""
    row_id = _open_row(home, run_id, plan, rack_id)
    nodes = reading.power_tree(home, run_id, now.t_s, row_id)
    title = tree_title(nodes)
    sql = _SQL.format(run_id=run_id, from_s=now.t_s, to_s=now.t_s + 60)
    with parts.panel(title, "power-tree", data=lambda: _frame(nodes), sql=sql, png=True):
        if not reading.has_feeds(run_id):
            words = "This run is older than the loads of UPS and PDU; run it again to see them between the utility and the rows."
            st.html(f'<p class="iw-note">{words}</p>')
        shown, chosen = now.shown, (row_id, rack_id)
        drawing(
            tree_svg(nodes, state.colours(), shown=shown, chosen=chosen),
            key="power-tree-drawing",
            narrow=tree_svg(nodes, state.colours(), shown=shown, chosen=chosen, narrow=True),
            on_pick=lambda picked: _picked(picked, {row.id for row in plan.rows} | {node.id for node in nodes if node.kind == "row"}),
        )
        st.html(
            f'<p class="iw-note">Highest of the minute from {now.clock_text}, against what is in force then. Rows brake at their budget; '
            "UPS and PDU trip when an overload lasts. Pick a row to see its racks, a rack to look into it.</p>"
        )


def _open_row(home: str, run_id: str, plan: Plan, rack_id: str) -> str:
    chosen = st.session_state.get(ROW)
    rows = set(reading.floors.fleet_in(home, run_id).row_ids)
    return chosen if chosen in rows else plan.rack_of(rack_id)[0].id


def _picked(picked: str, rows: set[str]) -> None:
    if picked in rows:
        st.session_state[ROW] = picked
    else:
        st.session_state[RACK] = picked


def _frame(nodes: tuple[Node, ...]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "place_id": [node.id for node in nodes],
            "kind": [node.kind for node in nodes],
            "power_w": [node.load_w for node in nodes],
            "rated_w": [node.rated_w for node in nodes],
            "free_share": [node.free_share for node in nodes],
            "live": [node.live for node in nodes],
            "trip_s": [node.trip_s if node.trip_s < float("inf") else None for node in nodes],
            "fed_by": [", ".join(node.parents) for node in nodes],
        }
    )


_SQL: Final = (
    "SELECT feed_id, kind, max(power_w) AS power_w, last(rated_w ORDER BY t_s) AS rated_w, last(live ORDER BY t_s) AS live\n"
    "FROM feeds WHERE run_id = '{run_id}' AND t_s > {from_s:.0f} AND t_s <= {to_s:.0f} GROUP BY ALL;\n"
    "SELECT row_id, max(power_w) AS power_w, min(budget_w) AS budget_w\n"
    "FROM rows WHERE run_id = '{run_id}' AND t_s > {from_s:.0f} AND t_s <= {to_s:.0f} GROUP BY row_id"
)
