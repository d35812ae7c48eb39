"""From readings to incidents: what overlaps and hangs together is one."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.faults import Fault
from twin.incidents.alerts import Watched
from twin.incidents.case import TABLES
from twin.incidents.elsewhere import changes, lines
from twin.incidents.watching import Watching, opened, spans
from twin.tables import Sink

EDGES = [
    ("front", "cart", "calls"), ("cart", "store", "calls"), ("other", "host-2", "runs on"), ("front", "host-1", "runs on"),
    ("host-1", "host-rack", "in"), ("host-2", "host-rack", "in"), ("host-rack", "hosts-row", "in"), ("hosts-row", "aisle-1", "in"),
    ("store", "host-3", "runs on"), ("server-1", "rack-1", "in"), ("server-2", "rack-2", "in"), ("rack-1", "row-1", "in"),
    ("rack-2", "row-1", "in"), ("row-1", "aisle-1", "in"),
]  # fmt: skip
KINDS = {"front": "service", "cart": "service", "store": "service", "other": "service", "server-1": "server", "server-2": "server"}
KINDS |= {"host-1": "host", "host-2": "host", "host-3": "host", "rack-1": "rack", "rack-2": "rack", "row-1": "row", "hosts-row": "row"}
KINDS |= {"aisle-1": "aisle", "host-rack": "rack"}
IDS = {"service_latency": ("front", "cart", "store", "other"), "gpu_over_limit": ("server-1", "server-2")}


def _watching() -> Watching:
    topology = pl.DataFrame(EDGES, schema=["source", "target", "kind"], orient="row")
    return Watching(IDS, topology, pl.DataFrame(list(KINDS.items()), schema=["entity", "kind"], orient="row"))


def _watched(high: tuple[str, ...]) -> Watched:
    values = {"service_latency": 0.1, "gpu_over_limit": 70.0}
    peaks = {"service_latency": 0.9, "gpu_over_limit": 91.0}
    return Watched({rule: np.array([peaks[rule] if name in high else values[rule] for name in ids]) for rule, ids in IDS.items()})


def _run(watching: Watching, high: dict[str, tuple[float, float]], until_s: float, from_s: float = 0.0) -> dict[str, pl.DataFrame]:
    """Let readings of entities be high from one time to another, minute by minute."""
    sink, t_s = Sink({}), from_s
    while t_s < until_s:
        t_s += 60.0
        watching.advance(t_s, _watched(tuple(name for name, (begin, end) in high.items() if begin < t_s <= end)))
        watching.record(sink)
    return sink.frames()


def test_a_caller_and_whom_it_asks_are_one_incident_that_the_first_of_them_names() -> None:
    frames = _run(_watching(), {"store": (600.0, 3000.0), "front": (780.0, 3000.0)}, 3600.0)
    (incident,) = opened(frames["incidents"].lazy()).collect().to_dicts()
    assert (incident["entity_id"], incident["severity"], incident["onset_s"], incident["t_s"]) == ("store", "major", 660.0, 780.0)
    assert incident["affected"] == ["store"], "what came later is not known when it is opened"
    assert incident["title"] == "P99 latency of store is 900 ms, objective 500 ms"
    alerts = frames["alerts"]
    assert set(alerts["incident_id"]) == {"incident-1"}
    assert alerts["state"].to_list() == ["fired", "fired", "cleared", "cleared"]


def test_what_goes_wrong_elsewhere_at_the_same_time_is_another_incident() -> None:
    frames = _run(_watching(), {"store": (600.0, 3000.0), "other": (600.0, 3000.0), "server-1": (600.0, 3000.0)}, 3600.0)
    assert sorted(frames["incidents"]["entity_id"]) == ["other", "server-1", "store"]


def test_servers_of_a_row_that_get_hot_together_are_one_incident() -> None:
    frames = _run(_watching(), {"server-1": (600.0, 3000.0), "server-2": (600.0, 3000.0)}, 3600.0)
    (incident,) = opened(frames["incidents"].lazy()).collect().to_dicts()
    assert incident["affected"] == ["server-1", "server-2"]
    assert incident["text"].count("\n") == 1


@pytest.mark.parametrize(("again_s", "incidents"), [(3300.0, 1), (6000.0, 2)])
def test_what_comes_back_soon_is_the_same_incident_and_later_another(again_s: float, incidents: int) -> None:
    watching = _watching()
    _run(watching, {"store": (600.0, 2700.0)}, again_s)
    _run(watching, {"store": (again_s, again_s + 600.0)}, again_s + 900.0, from_s=again_s)
    assert watching.grouping.snapshot()["count"] == incidents


def test_an_incident_is_no_other_for_what_comes_after_it() -> None:
    """No row that is written by a time changes when later readings do."""
    calm, wild = (_run(_watching(), {"store": (600.0, 3000.0), **more}, 3600.0) for more in ({}, {"front": (1500.0, 3600.0)}))
    for name in ("alerts", "incidents"):
        before = [frame[name].filter(pl.col("t_s") <= 1500.0) for frame in (calm, wild)]
        assert before[0].equals(before[1])
        assert before[0].height


@pytest.mark.parametrize("at_s", [600.0, 720.0, 780.0, 2400.0, 3000.0])
def test_the_watch_goes_on_from_a_snapshot_to_the_last_byte(at_s: float) -> None:
    high = {"store": (600.0, 2000.0), "front": (700.0, 2300.0), "server-1": (2200.0, 3000.0)}
    whole, resumed = _watching(), _watching()
    _run(whole, high, at_s)
    resumed.restore(whole.snapshot())
    one, other = (_run(each, high, 3900.0, from_s=at_s) for each in (whole, resumed))
    assert one.keys() == other.keys()
    assert all(frame.equals(other[name]) for name, frame in one.items())


def test_alerts_are_spans_to_a_case_and_know_no_end_that_is_to_come() -> None:
    alerts = _run(_watching(), {"store": (600.0, 2000.0), "server-1": (2200.0, 3900.0)}, 3600.0)["alerts"].lazy()
    whole = spans(alerts).collect()
    assert tuple(whole.columns) == TABLES["alerts"]
    assert whole["until"].to_list() == [2220.0, None]
    early = spans(alerts.filter(pl.col("t_s") <= 1800.0)).collect()
    assert early.select("entity", "until").rows() == [("store", None)]


def test_faults_of_other_domains_leave_their_own_lines() -> None:
    faults: list[Any] = [
        Fault(kind="power_cap_wrong", target="row-2", from_s=600.0, until_s=1200.0, severity=0.6),
        Fault(kind="gpu_off_bus", target="server-3", from_s=300.0, severity=0.25),
        Fault(kind="hint_flood", target="web", from_s=0.0, until_s=300.0),
        Fault(kind="gpu_throttle", target="server-1", from_s=0.0),
    ]
    assert [(each.t_s, each.words) for each in changes(faults)] == [
        (600.0, "power cap of row-2 set to 40 % of its rating"),
        (1200.0, "power cap of row-2 set back to 100 % of its rating"),
    ]
    told = lines(faults, 3600.0)
    assert [each.t_s for each in told] == [60.0, 120.0, 180.0, 240.0, 300.0, 300.0, 300.0]
    assert sum("79, GPU has fallen off the bus" in each.words for each in told) == 2
