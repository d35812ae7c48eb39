"""Who gets which optimisation, what prices come to, who holds capacity."""

import re
import runpy
from pathlib import Path

import polars as pl
import pytest

from app import hint_edits
from app.charts import matrix, waterfall
from app.charts.band import band_svg
from app.charts.capacity import borrowed, capacity
from app.charts.timeline import Span
from app.charts.tokens import LIGHT
from twin.workloads.negotiation.settings import Tenant
from twin.workloads.negotiation.treatments import TREATMENTS

MADE = runpy.run_path(str(Path(__file__).resolve().parents[2] / "negotiated.py"))


@pytest.fixture(scope="module")
def made() -> dict[str, pl.DataFrame]:
    return MADE["frames"]()


def test_a_square_says_how_many_have_it_and_what_the_others_lack(made: dict[str, pl.DataFrame]) -> None:
    end_s = matrix.hour_of(made["offers"], 13 * 3600.0 + 60.0)
    assert end_s == 14 * 3600.0
    found = matrix.cells(made["offers"].filter(pl.col("t_s") == end_s))
    cell = found["web-frontend", "spot"]
    assert (cell.state, round(cell.granted_share, 2), cell.key) == ("granted", 0.4, "preemptible")
    assert found["databases", "spot"].state == "forbidden"
    assert found["telemetry-batch", "spot"].state == "better"
    assert matrix.wanted(found, "harvest") == "work may wait"
    svg = matrix.matrix_svg(found, MADE["WORKLOADS"], LIGHT)
    assert svg.count("<g data-pick=") == len(found)
    assert all(each.title in svg for each in TREATMENTS)


def test_steps_and_what_was_broken_add_up_to_what_is_billed(made: dict[str, pl.DataFrame]) -> None:
    saved = dict(made["offers"].group_by("optimisation").agg(pl.col("saved_usd").sum()).iter_rows())
    regular, billed = (float(made["bills"][name].sum()) for name in ("regular_usd", "billed_usd"))
    found = waterfall.steps(saved, regular, billed)
    assert sum(step.points for step in found) == pytest.approx(100 * (regular - billed) / regular)
    assert "broken" not in [step.name for step in found]
    dearer = waterfall.steps(saved, regular, billed + 0.1 * regular)
    assert dearer[-1].name == "broken"
    assert dearer[-1].points == pytest.approx(-10.0)
    assert waterfall.steps({}, 0.0, 0.0) == []


def test_the_waterfall_hangs_from_the_regular_price_in_the_order_of_application(made: dict[str, pl.DataFrame]) -> None:
    ten = [waterfall.Step(each.name, 4.88) for each in TREATMENTS]
    for narrow in (False, True):
        svg = waterfall.waterfall_svg(ten, LIGHT, "prices", narrow=narrow)
        tops = [float(y) for y in re.findall(r'<rect x="[\d.]+" y="([\d.]+)"', svg)]
        assert tops[:-1] == sorted(tops[:-1])
        assert tops[-1] == tops[0]
        assert "−48.8" in svg


def test_the_band_is_shaded_and_every_share_has_its_mark() -> None:
    svg = band_svg({"paper": 0.488, "closed form": 0.488, "this run": 0.886}, (0.445, 0.531), LIGHT)
    assert "paper 48.8" in svg
    assert "this run 88.6" in svg
    assert svg.count("<circle") == 2


def test_capacity_is_stacked_and_what_found_no_room_is_red(made: dict[str, pl.DataFrame], span: Span) -> None:
    frame = made["vm_capacity"].filter(pl.col("pool") == "hosts")
    fig = capacity(frame, LIGHT, span, cursor_s=3600.0, unit="vCPUs")
    tops = {trace.name: trace for trace in fig.data if trace.name}
    held = frame["regular_cores"] + frame["reserve_cores"] - frame["turned_away_cores"] + frame["spot_cores"] + frame["harvest_cores"]
    assert list(tops["harvest"].y) == pytest.approx(held.to_list())
    assert tops["turned away"].marker.color == LIGHT.limit


def test_bands_pass_the_line_by_what_harvest_vms_borrow(made: dict[str, pl.DataFrame]) -> None:
    frame = made["vm_capacity"].filter(pl.col("pool") == "hosts")
    got = frame["reserve_cores"] - frame["turned_away_cores"] + frame["regular_cores"] + frame["spot_cores"]
    full = frame.with_columns((pl.col("total_cores") - got).alias("harvest_cores"))
    assert borrowed(full) == pytest.approx(0.0, abs=1e-6)
    assert borrowed(full.with_columns(pl.col("harvest_cores") + 25.0)) == pytest.approx(25.0)


@pytest.mark.parametrize("key", list(hint_edits.CHOICES))
def test_every_choice_of_the_page_is_a_hint_that_a_scenario_takes(key: str) -> None:
    for value in hint_edits.CHOICES[key].values():
        tenant = hint_edits.changed({"id": "search", "class": "search", "deployments": 2}, {key: value})
        assert key in Tenant.model_validate(tenant).hints.values()


def test_edits_survive_the_url_and_strangers_in_it_are_left_out() -> None:
    edits = {"search": {"class": "databases", "delay_tolerance_s": 3600, "preemptible": False}, "dev-test": {"stateless": "full"}}
    assert hint_edits.read(hint_edits.written(edits), ["search", "dev-test"], ["databases"]) == edits
    assert hint_edits.read("search:class=<b>,preemptible=maybe,stateless;;:::", ["search"], ["databases"]) == {}


def test_who_may_be_evicted_says_so_without_contradicting_itself() -> None:
    tenant = hint_edits.changed({"id": "db", "workload_class": "databases", "deployments": 2, "hints": {}}, {"preemptible": True})
    assert tenant["class"] == "databases"
    assert tenant["hints"] == {"preemptible": True, "preemptibility_share": 1, "availability_nines": 3}
    kept = hint_edits.changed({"id": "db", "class": "databases", "hints": {"availability_nines": 2}}, {"preemptible": True})
    assert kept["hints"]["availability_nines"] == 2
