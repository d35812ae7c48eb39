import tracemalloc

import numpy as np
import polars as pl
import pytest

from twin.tables import EVENTS, Column, Sink, Table, TooLargeError, event_columns

RACKS = Table(
    "racks",
    "per tick",
    (Column("t_s", pl.Float64, "time"), Column("rack_id", pl.String, "rack", "rack"), Column("power_w", pl.Float32, "power")),
)


def test_indices_are_stored_as_ids_in_the_declared_order() -> None:
    sink = Sink({"rack": ("rack-1", "rack-2")})
    sink.append(RACKS, {"power_w": np.array([1.0, 2.0]), "t_s": np.array([0.0, 0.0]), "rack_id": np.array([1, 0])})
    frame = sink.frames()["racks"]
    assert frame.columns == ["t_s", "rack_id", "power_w"]
    assert frame["rack_id"].to_list() == ["rack-2", "rack-1"]
    assert frame["power_w"].dtype == pl.Float32


def test_who_listens_is_shown_rows_as_they_are_written_until_all_is_forgotten() -> None:
    sink, heard = Sink({"rack": ("rack-1",)}), []
    sink.listeners["racks"] = heard.append
    rows = {"power_w": np.array([1.0]), "t_s": np.array([0.0]), "rack_id": np.array([0])}
    sink.append(RACKS, rows)
    assert heard == [rows]
    sink.discard()
    assert not sink.listeners


def test_a_table_that_would_not_fit_is_refused_with_its_size() -> None:
    small = Table("small", "per tick", RACKS.columns, max_rows=3)
    sink = Sink({"rack": ("rack-1",)})
    rows = {"t_s": np.zeros(2), "rack_id": np.zeros(2, dtype=np.int64), "power_w": np.zeros(2)}
    sink.append(small, rows)
    with pytest.raises(TooLargeError, match=r"4 rows .* its limit is 3"):
        sink.append(small, rows)


def test_events_are_columns_of_text_and_numbers() -> None:
    sink = Sink({})
    sink.append(EVENTS, event_columns([(5.0, "plant", "power_brake", "row", "row-1", 2.0)]))
    assert sink.frames()["events"].row(0) == (5.0, "plant", "power_brake", "row", "row-1", 2.0)


def test_a_table_of_few_rows_a_tick_weighs_little_more_than_its_rows():
    few = Table("few", "tick", (Column("t_s", pl.Float64, ""), Column("power_w", pl.Float64, "")))
    sink, ticks = Sink({}), 20_000
    tracemalloc.start()
    for tick in range(ticks):
        sink.append(few, {"t_s": np.full(3, 1.0 * tick), "power_w": np.zeros(3)})
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held_bytes < 2.0 * ticks * 3 * 16
    assert sink.frames()["few"]["t_s"].to_list() == [float(tick) for tick in range(ticks) for _ in range(3)]
