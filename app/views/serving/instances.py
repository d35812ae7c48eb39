"""Panel of the instances over the day and the scaling decisions."""

from typing import Final

import polars as pl

from app import parts, state
from app.charts.lanes import Lane, count_at, lane_label, lanes
from app.charts.slots import ROLES
from app.charts.timeline import Span as Day
from app.views.serving import reading
from app.views.serving.reading import Span


def instances(now: Span) -> None:
    """Draw how many instances of each endpoint and role are on over the day, and when that was decided."""
    mine = reading.counts(now.home, now.run_id)
    if not mine:
        parts.empty("No instance was on", "Nothing is served until a scaling policy starts an instance.", key="instances")
        return
    before = reading.counts(now.home, now.other) if now.other else {}
    moves, context = reading.decisions(now.home, now.run_id), state.context()
    found = [Lane(lane_label(*key), key[1], frame, before.get(key), moves.get(key)) for key, frame in mine.items()]
    title = instances_title(mine, sum(len(frame) for frame in moves.values()), context.t_s, context.clock_text)
    data = pl.concat(
        [
            frame.select(pl.col("t_s"), pl.lit(endpoint).alias("endpoint_id"), pl.lit(ROLES[role]).alias("role"), "count", "gpus")
            for (endpoint, role), frame in mine.items()
        ]
    )
    with parts.panel(title, "instances", data=data, sql=_SQL.format(run_id=now.run_id), png=True):
        day = Day(context.clock, context.horizon_s)
        parts.plot(lanes(found, state.colours(), day, cursor_s=context.t_s), "instances", alt=title)


def instances_title(mine: dict[tuple[str, int], pl.DataFrame], decided: int, t_s: float, clock_text: str) -> str:
    """Return how many instances are on, whether that follows the day, and how often it was decided anew."""
    total = pl.concat(list(mine.values())).group_by("t_s").agg(pl.col("count").sum()).sort("t_s")
    least, most = float(total["count"].min() or 0), float(total["count"].max() or 0)  # type: ignore[arg-type]
    if least == most and not decided:
        return f"All {most:.0f} instances stay on throughout"
    words = f"{count_at(total, t_s):.0f} instances on at {clock_text}, {least:.0f} to {most:.0f} over the day"
    return f"{words}; {decided} scaling decision{'' if decided == 1 else 's'}" if decided else words


_SQL: Final = (
    "SELECT t_s, split_part(instance_id, '/', 1) AS endpoint_id, role, round(sum(on_share)) AS instances\n"
    "FROM instances WHERE run_id = '{run_id}' AND on_share > 0 GROUP BY 1, 2, 3 ORDER BY 2, 3, 1;\n"
    "SELECT t_s, kind, entity_id, value AS gpus FROM events WHERE run_id = '{run_id}' AND kind LIKE 'instance_%' ORDER BY t_s"
)
