"""What was injected, and whether data can prove it."""

import numpy as np
import polars as pl
import pytest

from twin.faults import Fault
from twin.incidents.causes import CAUSES
from twin.incidents.truth import MULTIPLE, cause_of, entity_of, moved, path, provable, record
from twin.tables import Sink

EDGES = pl.DataFrame(
    [("front", "cart", "calls"), ("cart", "host-1", "runs on"), ("other", "host-1", "runs on"), ("host-1", "rack-1", "in")],
    schema=["source", "target", "kind"], orient="row",
)  # fmt: skip


def _readings(
    shift: float = 0.0, metric: str = "services.latency_p99_s", level: float = 0.1, noise: float = 0.03, swing: float = 0.0
) -> pl.DataFrame:
    """Three hours of one series by the minute that a fault shifts from the second hour on, as a share of its level."""
    times = np.arange(60.0, 10_801.0, 60.0)
    waver = np.random.default_rng(1).standard_normal(len(times)) * noise + swing * np.sin(times / 10_800.0 * np.pi)
    values = level * (1.0 + waver) * np.where(times > 7200.0, 1.0 + shift, 1.0)
    return pl.DataFrame({"time": times, "entity": "cart", "metric": metric, "value": values})


def test_what_a_fault_moves_beyond_the_noise_is_told_with_its_shift() -> None:
    (one,) = moved(_readings(0.5), _readings(), 7200.0, 10_800.0)
    assert (one.entity, one.metric) == ("cart", "services.latency_p99_s")
    assert one.shift == pytest.approx(0.05, rel=0.05)
    assert one.times_noise == pytest.approx(0.5 / 0.03, rel=0.35)


def test_less_than_four_times_the_noise_proves_nothing() -> None:
    noise = 0.03
    assert moved(_readings(0.5 * MULTIPLE * noise), _readings(), 7200.0, 10_800.0) == []
    assert moved(_readings(2.0 * MULTIPLE * noise), _readings(), 7200.0, 10_800.0) != []


def test_a_days_swing_is_no_noise_and_no_effect() -> None:
    assert moved(_readings(swing=2.0), _readings(swing=2.0), 7200.0, 10_800.0) == []
    assert moved(_readings(0.5, swing=2.0), _readings(swing=2.0), 7200.0, 10_800.0) != []


@pytest.mark.parametrize(("metric", "level"), [("racks.inlet_c", 25.0), ("services.error_share", 1e-4), ("services.restarts", 0.1)])
def test_what_no_reader_could_tell_is_not_moved_though_the_model_has_no_noise(metric: str, level: float) -> None:
    still = _readings(metric=metric, level=level, noise=0.0)
    assert moved(_readings(0.005, metric=metric, level=level, noise=0.0), still, 7200.0, 10_800.0) == []


def test_what_is_written_only_because_of_a_fault_is_moved_by_it_and_what_never_changes_is_not() -> None:
    refused = _readings(metric="hint_conflicts.hints", level=200.0).filter(pl.col("time") > 7200.0)
    still = _readings(metric="instances.role", level=0.0, noise=0.0)
    (one,) = moved(pl.concat([_readings(), refused, still]), pl.concat([_readings(), still]), 7200.0, 10_800.0)
    assert (one.metric, one.shift) == ("hint_conflicts.hints", pytest.approx(200.0, rel=0.05))


def test_a_fault_that_moves_nothing_is_provable_only_where_a_line_names_it() -> None:
    assert not provable(Fault(kind="memory_leak", target="cart", from_s=0.0, severity=0.001), [])
    assert provable(Fault(kind="gpu_off_bus", target="server-1", from_s=0.0), [])


def test_the_way_from_cause_to_symptom_follows_the_topology() -> None:
    assert path(EDGES, "rack-1", "front") == ("rack-1", "host-1", "cart", "front")
    assert path(EDGES, "cart", "cart") == ("cart",)
    assert path(EDGES, "other", "front") == ("other", "front"), "where none is known it is the two ends"


def test_every_fault_of_a_class_knows_its_class_and_who_is_to_blame() -> None:
    for cause, known in CAUSES.items():
        for kind in known.faults:
            assert cause_of(Fault(kind=kind, target="x", from_s=0.0)) == cause
    assert entity_of(Fault(kind="cxl_link_loss", target="host-3/port-2", from_s=0.0)) == "host-3"
    assert entity_of(Fault(kind="chiller_loss", target="chiller-2", from_s=0.0)) == "site"
    with pytest.raises(ValueError, match="fault 'earthquake' has no class of cause"):
        cause_of(Fault(kind="earthquake", target="site", from_s=0.0))


def test_the_truth_is_written_beside_the_telemetry_and_is_none() -> None:
    sink, fault = Sink({}), Fault(kind="slow_nic", target="host-1", from_s=600.0, severity=0.5)
    record(sink, [fault], [True], [path(EDGES, "host-1", "front")])
    record(sink, [], [], [])
    assert sink.frames()["faults_truth"].rows(named=True) == [
        {
            "kind": "slow_nic", "cause": "slow_nic", "entity_id": "host-1", "from_s": 600.0, "until_s": pytest.approx(np.nan, nan_ok=True),
            "severity_share": 0.5, "provable": True, "path": "host-1 > cart > front",
        }
    ]  # fmt: skip
    assert not sink._declared["faults_truth"].telemetry
