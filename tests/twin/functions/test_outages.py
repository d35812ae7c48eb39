"""Storms of cold starts: warm instances that vanish all the while."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from polars.testing import assert_frame_equal

from twin.clock import Clock
from twin.faults import Fault
from twin.functions.model import Model
from twin.functions.outages import EVERY_S, Storms
from twin.functions.settings import Function, Settings
from twin.tables import Sink

CLOCK = Clock(datetime(2025, 7, 1, 12, tzinfo=UTC))
HOSTS = ("host-1", "host-2")
BUSY = (
    Function(id="resize", trigger="others", rate_per_s=20.0, run_median_s=0.02, cpu_mean_s=0.01),
    Function(id="mail", trigger="others", rate_per_s=10.0, run_median_s=0.005, cpu_mean_s=0.002),
)
Frames = dict[str, Any]


def _storm(target: str = "resize", severity: float = 1.0, until_s: float | None = 1800.0) -> Fault:
    return Fault(kind="cold_start_storm", target=target, from_s=600.0, until_s=until_s, severity=severity)


def _model(*faults: Fault, seed: int = 1) -> Model:
    return Model(Settings(functions=BUSY, hosts=HOSTS, workload="functions", cores=8), HOSTS, CLOCK, 3600.0, seed, faults)


def _go(model: Model, until_s: float, tick_s: float = 15.0, sink: Sink | None = None) -> Sink:
    sink = sink or Sink({"host": HOSTS, "function": model.function_ids})
    while model.t_s < until_s - 1e-9:
        model.advance(min(model.t_s + tick_s, until_s), np.full(len(HOSTS), 8.0), np.ones(len(HOSTS)))
        model.record(sink)
    return sink


def _tables(*faults: Fault, tick_s: float = 15.0) -> Frames:
    model = _model(*faults)
    sink = _go(model, 3000.0, tick_s)
    model.close(sink)
    return sink.frames()


def _cold(tables: Frames, function: str, from_s: float, until_s: float) -> int:
    frame = tables["functions"]
    return int(frame.filter((frame["function_id"] == function) & frame["t_s"].is_between(from_s, until_s))["cold_starts"].sum())


def test_calls_wait_for_starts_while_a_storm_lasts_and_not_before_or_long_after() -> None:
    tables = _tables(_storm())
    assert _cold(tables, "resize", 600.0, 600.0) == 0
    assert _cold(tables, "resize", 900.0, 1800.0) > 1200.0 / EVERY_S
    assert _cold(tables, "resize", 2400.0, 3000.0) <= 2, "now and then one more is needed, as on any day"
    assert _cold(tables, "mail", 0.0, 3000.0) == _cold(_tables(), "mail", 0.0, 3000.0)


def test_a_storm_over_the_site_strikes_every_function() -> None:
    tables = _tables(_storm("site"))
    assert min(_cold(tables, name, 900.0, 1800.0) for name in ("resize", "mail")) > 1200.0 / EVERY_S


def test_a_weaker_storm_takes_fewer() -> None:
    whole, part = (_cold(_tables(_storm(severity=severity)), "resize", 900.0, 1800.0) for severity in (1.0, 0.3))
    assert 0 < part < 0.8 * whole


@pytest.mark.parametrize("tick_s", [1.0, 60.0, 7.0])
def test_a_storm_does_not_mind_the_ticks(tick_s: float) -> None:
    one, other = _tables(_storm()), _tables(_storm(), tick_s=tick_s)
    for name, frame in one.items():
        assert_frame_equal(frame, other[name], check_exact=False, rel_tol=1e-9)


@pytest.mark.parametrize("at_s", [600.0, 900.0, 1800.0])
def test_a_storm_goes_on_from_a_snapshot_to_the_last_byte(at_s: float) -> None:
    whole = _model(_storm("site"))
    sink = _go(whole, at_s)
    before = {name: frame.height for name, frame in sink.frames().items()}
    resumed = _model(_storm("site"))
    resumed.restore(whole.snapshot())
    rest = {name: frame[before.get(name, 0) :] for name, frame in _go(whole, 2400.0, sink=sink).frames().items()}
    for name, frame in _go(resumed, 2400.0).frames().items():
        assert_frame_equal(frame, rest[name], check_exact=True)


def test_instances_vanish_at_even_times_from_the_beginning_on() -> None:
    storms, t_s, times = Storms((_storm(until_s=640.0),), ("resize", "mail")), 0.0, []
    while (t_s := storms.next_s(t_s)) < np.inf:
        times.append(t_s)
        assert np.array_equal(storms.share(t_s), [1.0, 0.0])
    assert times == [600.0 + EVERY_S * turn for turn in range(int(40 / EVERY_S))]
    assert storms.share(601.0) is None


def test_a_storm_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cold_start_storm: no function is called 'resise'; write site or one of resize, mail"):
        _model(_storm("resise"))


def test_the_fixture_of_other_tests_meets_no_storm(drive: Callable[..., Any], steady: Callable[..., Function], containerd: Any) -> None:
    assert drive((steady(5.0),), containerd).model._storms.next_s(0.0) == np.inf
