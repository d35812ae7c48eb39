"""Monitoring knows what units report of themselves, and no fault by its name."""

import polars as pl
import pytest

from twin.incidents.causes import CAUSES
from twin.incidents.reported import INJECTED, REPORTS, reported
from twin.scenario import FAULT_OWNERS
from twin.tables import EVENTS


def told(*rows):
    return reported(pl.DataFrame(rows, schema=EVENTS.schema(), orient="row").lazy()).collect()


def test_every_fault_that_can_be_injected_is_known_to_be_one():
    assert set(FAULT_OWNERS) <= INJECTED
    assert set(REPORTS) <= INJECTED


@pytest.mark.parametrize("kind", sorted(FAULT_OWNERS))
def test_no_event_names_a_fault_or_its_class(kind):
    found = told((60.0, "plant", kind, "rack", "place-1", 0.6), (90.0, "plant", kind, "rack", "place-1", 0.0))
    assert found.height == (2 if kind in REPORTS else 0)
    texts = " ".join([*found["kind"].to_list(), *found["words"].to_list()])
    for word in (*FAULT_OWNERS, *CAUSES):
        assert word == "none" or word not in texts


def test_a_unit_says_how_much_it_lost_and_when_it_is_back():
    found = told((60.0, "plant", "ahu_loss", "aisle", "aisle-2", 0.62), (900.0, "plant", "ahu_loss", "aisle", "aisle-2", 0.0))
    assert found["kind"].to_list() == ["capacity_lost", "capacity_back"]
    assert found["words"].to_list() == [
        "air handling of aisle-2 reports that 62 % of its capacity is gone",
        "air handling of aisle-2 reports all of its capacity",
    ]


def test_a_loss_too_small_to_be_measured_is_not_reported():
    assert told((60.0, "plant", "ahu_loss", "aisle", "aisle-2", 0.003)).is_empty()


@pytest.mark.parametrize("kind", ["power_brake", "ups_trip", "thermal_throttle", "rejected", "instance_lost", "pool_overflow", "vms_hit"])
def test_what_domains_do_is_told_as_it_is(kind):
    row = told((60.0, "plant", kind, "row", "row-1", 1.23456)).row(0, named=True)
    assert (row["kind"], row["words"]) == (kind, f"{kind} of row row-1: 1.2346")


@pytest.mark.parametrize("kind", ["replay_silent", "replay_out_of_reach", "no_such_device"])
def test_the_twins_notes_on_itself_are_not_told(kind):
    assert told((60.0, "plant", kind, "row", "row-1", 1.0)).is_empty()


def test_every_event_of_many_is_told_for_itself():
    rows = [(float(at), "plant", kind, "unit", f"{kind}-{at}", 1.0) for at in range(3) for kind in (*FAULT_OWNERS, "rejected")]
    found = told(*rows)
    assert found.height == 3 * (len(REPORTS) + 1)
    for row in found.filter(pl.col("kind") != "rejected").iter_rows(named=True):
        # The place is named as it is; what happened to it is not.
        assert row["entity_id"] in row["words"]
    assert found.filter(pl.col("kind") == "rejected")["words"].to_list() == [f"rejected of unit rejected-{at}: 1.0" for at in range(3)]
