"""What the plant writes, and the metrics read off it."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from twin.clock import Clock, Window
from twin.faults import Fault
from twin.fleet import Fleet
from twin.metrics import METRICS, Asked, Scope
from twin.plant.model import GpuLoad, Model
from twin.plant.readings import READINGS, TABLES
from twin.tables import EVENTS, Sink
from twin.units import suffix_of

HOUR_S = 3600.0


@pytest.fixture(scope="module")
def tables(
    plant: Callable[..., Model], load: Callable[..., GpuLoad], run_on: Callable[..., Model], fleet: Fleet
) -> dict[str, pl.DataFrame]:
    """Two hours with a blocked rack in the second one and a UPS lost for its last ten minutes."""
    faults = [
        Fault(kind="rack_blocked", target="rack-1", from_s=HOUR_S, severity=0.7),
        Fault(kind="ups_loss", target="site", from_s=6600.0),
    ]
    model, sink = plant(faults), Sink({kind: fleet.ids(kind) for kind in ("row", "rack", "server", "gpu", "aisle", "feed")})
    run_on(model, load(0.6, 0.4), 2 * HOUR_S, sink=sink)
    model.close(sink)
    return sink.frames()


@pytest.fixture(scope="module")
def ask(tables: dict[str, pl.DataFrame], clock: Clock) -> Callable[..., float | None]:
    def read(name: str, *scope: tuple[str, str], window: Window | None = None) -> float | None:
        scopes = tuple(Scope(kind, entity) for kind, entity in scope)  # type: ignore[arg-type]
        return READINGS[f"plant.{name}"](Asked({key: frame.lazy() for key, frame in tables.items()}, clock, 2 * HOUR_S, scopes, window))

    return read


def test_every_metric_of_the_plant_is_read_and_plausible(ask: Callable[..., float | None]) -> None:
    names = {name for name in METRICS if name.startswith("plant.")}
    assert set(READINGS) == names
    for name in names:
        value = ask(name.partition(".")[2])
        assert value is not None
        assert METRICS[name].low <= value <= METRICS[name].high, name


def test_the_tables_hold_what_they_declare(tables: dict[str, pl.DataFrame], fleet: Fleet) -> None:
    declared = {table.name: table for table in (*TABLES, EVENTS)}
    assert set(tables) == set(declared)
    for name, frame in tables.items():
        assert frame.columns == [column.name for column in declared[name].columns]
    assert tables["gpus"].height == 120 * len(fleet.gpu_servers)
    assert tables["servers"].height == 120 * len(fleet.server_ids)
    assert tables["racks"].height == 240 * len(fleet.rack_ids)
    assert tables["site"].height * len(fleet.row_ids) == tables["rows"].height


def test_every_column_says_its_unit() -> None:
    plain = {"row_id", "rack_id", "server_id", "gpu_id", "aisle_id", "feed_id", "pue", "partial_pue", "power_brakes", "braking"}
    plain |= {"thermal_throttles", "kind", "live", "servers", "extra_servers"}
    unnamed = [column.name for table in TABLES for column in table.columns if not suffix_of(column.name)]
    assert set(unnamed) <= plain


def test_finer_tables_agree_with_coarser_ones(tables: dict[str, pl.DataFrame], ask: Callable[..., float | None]) -> None:
    hottest = ask("gpu_temp_max_c")
    assert tables["gpus"]["temp_max_c"].max() == pytest.approx(hottest, abs=0.02)
    assert tables["servers"]["gpu_temp_max_c"].max() == pytest.approx(hottest, abs=1e-4)
    assert ask("gpu_temp_max_c", ("rack", "rack-1")) == pytest.approx(hottest, abs=1e-4)
    server_j = tables["servers"].filter(pl.col("row_id").cast(pl.String) == "row-1")["power_w"].cast(pl.Float64).sum() * 60.0
    rows = tables["rows"].filter(pl.col("row_id").cast(pl.String) == "row-1")
    assert (rows["power_w"] * rows["tick_s"]).sum() == pytest.approx(server_j, rel=1e-6)
    racks = tables["racks"].filter(pl.col("row_id").cast(pl.String) == "row-1")
    assert racks["power_w"].cast(pl.Float64).sum() * 30.0 == pytest.approx(server_j, rel=1e-6)


def test_rows_share_out_the_whole_of_energy_and_cost(ask: Callable[..., float | None], fleet: Fleet) -> None:
    for name in ("energy_j", "energy_cost_usd"):
        parts = [ask(name, ("row", row)) for row in fleet.row_ids]
        assert sum(part for part in parts if part is not None) == pytest.approx(ask(name), rel=1e-9)


def test_energy_is_power_times_time_and_money_and_carbon_follow_the_hour(
    tables: dict[str, pl.DataFrame], ask: Callable[..., float | None]
) -> None:
    site = tables["site"]
    joules = float((site["site_power_w"] * site["tick_s"]).sum())
    assert ask("energy_j") == pytest.approx(joules * 12.0, rel=1e-12)
    cost = ask("energy_cost_usd")
    # The first hours of the day are at the night tariff of the defaults, 0.07 USD/kWh.
    assert cost == pytest.approx(joules / 3.6e6 * 0.07 * 12.0, rel=1e-9)


def test_throttling_is_counted_where_and_when_it_happens(ask: Callable[..., float | None], tables: dict[str, pl.DataFrame]) -> None:
    first, second = Window(0.0, 1.0), Window(1.0, 2.0)
    assert ask("thermal_throttle_events", window=first) == 0.0
    told = tables["events"].filter(pl.col("kind") == "thermal_throttle")["value"].sum()
    assert ask("thermal_throttle_events", window=second) == told * 12.0 > 0.0
    assert ask("thermal_throttle_events", ("rack", "rack-1")) == ask("thermal_throttle_events")
    assert ask("thermal_throttle_events", ("row", "row-2")) == 0.0
    assert ask("power_throttle_events", window=first) == 0.0
    assert ask("power_throttle_events", ("row", "row-1")) == 12.0
    assert ask("throttled_gpu_share", ("rack", "rack-1")) > ask("throttled_gpu_share", ("rack", "rack-2")) > 0.0  # type: ignore[operator]
    assert ask("throttled_gpu_share", window=first) == 0.0


def test_a_tick_of_several_steps_tells_of_all_of_them(
    plant: Callable[..., Model], load: Callable[..., GpuLoad], run_on: Callable[..., Model], fleet: Fleet
) -> None:
    faults = [Fault(kind="ups_loss", target="site", from_s=600.0), Fault(kind="rack_blocked", target="rack-1", from_s=600.0, severity=0.7)]
    model, sink = plant(faults), Sink({kind: fleet.ids(kind) for kind in ("row", "rack", "server", "gpu", "aisle", "feed")})
    run_on(model, load(0.6, 0.4), 1800.0, tick_s=60.0, sink=sink)
    model.close(sink)
    told = sink.frames()
    rows = told["rows"].with_columns(pl.col("row_id").cast(pl.String))
    assert rows["power_brakes"].sum() == told["events"].filter(pl.col("kind") == "power_brake").height > 0
    by_row = rows.group_by("row_id").agg((pl.col("power_w") * pl.col("tick_s")).sum().alias("row_j"), pl.col("gpu_temp_max_c").max())
    racks = told["racks"].with_columns(pl.col("row_id").cast(pl.String))
    fine = racks.group_by("row_id").agg((pl.col("power_w").cast(pl.Float64) * 60.0).sum().alias("rack_j"), pl.col("gpu_temp_max_c").max())
    both = by_row.join(fine, on="row_id")
    assert both["row_j"].to_numpy() == pytest.approx(both["rack_j"].to_numpy(), rel=1e-6)
    assert both["gpu_temp_max_c"].to_numpy() == pytest.approx(both["gpu_temp_max_c_right"].to_numpy(), abs=1e-4, nan_ok=True)


def test_a_window_takes_its_own_hours_only(ask: Callable[..., float | None]) -> None:
    halves = [ask("energy_j", window=Window(hour, hour + 1.0)) for hour in (0.0, 1.0)]
    assert sum(half for half in halves if half is not None) == pytest.approx(ask("energy_j"), rel=1e-12)
    for name in READINGS:
        assert ask(name.partition(".")[2], window=Window(5.0, 6.0)) is None, name


def test_time_throttled_is_weighed_by_gpus_and_not_by_rows(clock: Clock) -> None:
    servers = pl.DataFrame(
        {
            "t_s": [60.0] * 4,
            "row_id": ["a", "a", "a", "b"],
            "rack_id": ["r"] * 4,
            "server_id": list("wxyz"),
            "throttled_gpu_share": [1.0, 1.0, 1.0, 0.0],
        }
    )
    rows = pl.DataFrame(
        {"t_s": [60.0] * 2, "tick_s": [60.0] * 2, "row_id": ["a", "b"], "gpu_temp_max_c": [80.0] * 2, "throttled_gpu_share": [1.0, 0.0]}
    )
    asked = Asked({"servers": servers.lazy(), "rows": rows.lazy()}, clock, 60.0)
    assert READINGS["plant.throttled_gpu_share"](asked) == 0.75


def test_a_row_without_gpus_has_no_gpu_temperature(ask: Callable[..., float | None]) -> None:
    assert ask("gpu_temp_max_c", ("row", "hosts-row")) is None
    assert ask("throttled_gpu_share", ("row", "hosts-row")) is None
    assert ask("inlet_temp_max_c", ("row", "hosts-row")) is not None


def test_faults_are_told_with_their_severity_and_their_end(tables: dict[str, pl.DataFrame]) -> None:
    told = tables["events"].filter(pl.col("kind") == "rack_blocked").row(0, named=True)
    assert (told["t_s"], told["entity_kind"], told["entity_id"], told["value"]) == (HOUR_S, "rack", "rack-1", 0.7)


def test_a_run_without_tables_gives_no_number(clock: Clock) -> None:
    assert all(reading(Asked({}, clock, HOUR_S)) is None for reading in READINGS.values())


def test_stored_gpu_temperatures_are_rounded_to_a_thirty_second(tables: dict[str, pl.DataFrame]) -> None:
    stored = tables["gpus"]["temp_max_c"].to_numpy()
    assert (stored * 32.0 == np.round(stored * 32.0)).all()
