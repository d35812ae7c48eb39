"""Panel of the aisles: what servers want of air, what they get."""

from typing import Final

from app import parts, state
from app.charts.aisles import aisles_svg, aisles_title
from app.views.thermal import reading
from app.widgets.drawing import drawing


def aisles(run_id: str, now: state.Context) -> None:
    """Draw the airflow balance of every aisle at the cursor."""
    found = reading.aisles_at(run_id, now.t_s)
    if not found:
        parts.empty(
            "The airflow of the aisles is not known", "This run is older than that table; run it again to see who lacks air.", key="aisles"
        )
        return
    whole = state.table(run_id, "aisles")
    with parts.panel(aisles_title(found), "aisles", data=whole, sql=_SQL.format(run_id=run_id)):
        drawing(aisles_svg(found, state.colours(), shown=now.shown), key="aisles-drawing")


_SQL: Final = (
    "SELECT t_s, aisle_id, airflow_m3_per_s / nullif(supply_m3_per_s, 0) AS wanted_share, supply_c, recirculated_share, inlet_max_c\n"
    "FROM aisles WHERE run_id = '{run_id}' ORDER BY t_s, aisle_id"
)
