"""What hangs on what, built from ids alone."""

import numpy as np

from twin.fleet import Fleet
from twin.fleet_file import named
from twin.incidents.settings import Call, Service
from twin.incidents.surroundings import DEPENDS_ON, Surroundings
from twin.incidents.topology import Parts, entities, topology

FLEET: Fleet = named("tiny")
SERVICES = (
    Service(id="front", hosts=("host-1",), rate_per_s=10.0, calls=(Call(to="cart"), Call(to="chat", kind="endpoint"))),
    Service(id="cart", hosts=("host-1", "host-2"), calls=(Call(to="mail", kind="function"),)),
)
PARTS = Parts(
    aisles=FLEET.aisle_ids, air_handlers=FLEET.aisle_air_handlers.tolist(), rows=FLEET.row_ids, row_aisles=FLEET.row_aisles,
    racks=FLEET.rack_ids, rack_rows=FLEET.rack_rows, servers=FLEET.server_ids, server_racks=FLEET.server_racks, hosts=FLEET.host_ids,
    host_racks=FLEET.host_racks, pdus=FLEET.pdu_ids, row_pdus=FLEET.row_pdus, ups=FLEET.ups_ids, pdu_ups=FLEET.pdu_ups_share,
    endpoints=("chat",), instances=("chat/1", "chat/2"), instance_endpoints=(0, 0), instance_servers=(0, 2), functions=("mail",),
    workloads=("databases",), devices=("device-1",), switches=("switch-1",), on=(("mail", "host-2"), ("databases", "host-1")),
    stores=(("host-1", "device-1"), ("device-1", "switch-1")), services=SERVICES,
)  # fmt: skip


def _around() -> Surroundings:
    return Surroundings(topology(PARTS), dict(entities(PARTS).iter_rows()))


def test_a_service_hangs_on_all_that_is_under_it_down_to_the_air_and_the_power() -> None:
    below = _around().distances("front", DEPENDS_ON)
    assert {"cart", "chat", "mail", "chat/1", "server-1", "rack-1", "row-1", "aisle-1", "aisle-1/air-handler-2", "site"} <= set(below)
    assert {"host-2", "hosts-row", "device-1", "switch-1", FLEET.pdu_ids[0], FLEET.ups_ids[0]} <= set(below)
    assert (below["cart"], below["mail"], below["server-1"]) == (1, 2, 3)
    assert "databases" not in below, "who shares a host does not hang on its neighbour"


def test_nothing_hangs_on_what_it_carries() -> None:
    assert set(_around().distances("rack-2", DEPENDS_ON)) & {"server-2", "front", "chat"} == set()
    assert set(_around().distances("site", DEPENDS_ON)) == {"site"}


def test_every_end_of_an_edge_is_an_entity_and_stands_there_once() -> None:
    edges, known = topology(PARTS), entities(PARTS)
    assert set(edges["source"]) | set(edges["target"]) <= set(known["entity"])
    assert edges.n_unique() == edges.height
    assert known["entity"].n_unique() == known.height
    assert dict(known.iter_rows())["aisle-1/air-handler-1"] == "air handler"


def test_a_row_with_two_feeds_hangs_on_both_and_a_pdu_on_the_units_that_feed_it() -> None:
    fed = topology(PARTS).filter(topology(PARTS)["kind"] == "fed by")
    of_row = fed.filter(fed["source"] == "row-1")["target"].to_list()
    assert of_row == [FLEET.pdu_ids[index] for index in FLEET.row_pdus[0]]
    feeding = int(np.count_nonzero(FLEET.pdu_ups_share[0]))
    assert fed.filter(fed["source"] == FLEET.pdu_ids[0]).height == feeding


def test_a_site_without_anything_has_no_edges() -> None:
    assert topology(Parts()).is_empty()
    assert entities(Parts()).rows() == [("site", "site")]
