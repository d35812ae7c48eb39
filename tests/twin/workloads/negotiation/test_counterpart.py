"""What a session takes of a world's tables, and who hears of the rest."""

from typing import Any, cast

import numpy as np
import polars as pl
import pytest

from twin.tables import Column, Table
from twin.workloads.negotiation.counterpart import Ear
from twin.workloads.negotiation.tables import CONFLICTS

ELSEWHERE = Table("endpoints", "one row", (Column("t_s", pl.Float64, "time"),))


@pytest.mark.parametrize("keep", [True, False])
def test_monitoring_hears_every_table_once_whether_a_session_keeps_it_or_not(keep: bool) -> None:
    heard: list[str] = []
    ear = Ear(cast("Any", None), {"tenant_vm": (), "tenant": ("orders",)}, keep=keep)
    for table in (ELSEWHERE, CONFLICTS):
        ear.listeners[table.name] = lambda rows, name=table.name: heard.append(name)  # type: ignore[misc]
        ear.append(table, {column.name: np.zeros(1, dtype=np.int64) for column in table.columns})
    assert heard == ["endpoints", "hint_conflicts"]
    assert ear.held_rows == keep
