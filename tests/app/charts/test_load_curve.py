"""The curve over load: two runtimes, their ends, and where a run stands."""

import pytest

from app.charts.load_curve import Here, _at, load_curve, spoken
from app.charts.tokens import LIGHT


def _points(most: float, p99: tuple[float, ...]) -> list[dict]:
    shares = (0.1, 0.5, 0.9)
    return [
        {"busy_share": share, "rate_per_s": share * most, "latency_p50_s": late / 2, "latency_p99_s": late}
        for share, late in zip(shares, p99, strict=True)
    ]


RUNTIMES = {
    "containerd": {"saturation_per_s": 8000.0, "points": _points(8000.0, (3e-3, 3.5e-3, 7e-3))},
    "junctiond": {"saturation_per_s": 40_000.0, "points": _points(40_000.0, (1.2e-3, 1.3e-3, 2e-3))},
}


def test_each_runtime_has_a_median_and_a_tail_and_where_its_cores_are_all_busy() -> None:
    fig = load_curve(RUNTIMES, LIGHT, busy=0.9)
    assert [trace.name for trace in fig.data] == ["containerd p50", "containerd p99", "junctiond p50", "junctiond p99"]
    assert [shape.x0 for shape in fig.layout.shapes] == [8000.0, 40_000.0]
    assert fig.data[1].line.dash
    assert fig.data[3].line.dash == "solid"
    assert {note.text for note in fig.layout.annotations} == {"containerd: 8\u00a0000/s", "junctiond: 40\u00a0000/s"}


def test_the_load_that_is_looked_at_is_full_and_every_point_carries_its_load() -> None:
    fig = load_curve(RUNTIMES, LIGHT, busy=0.5)
    assert list(fig.data[3].marker.color) == [LIGHT.surface, LIGHT.candidate, LIGHT.surface]
    assert [told[0] for told in fig.data[3].customdata] == ["0.1", "0.5", "0.9"]


def test_a_run_stands_on_the_tail_of_its_runtime() -> None:
    fig = load_curve(RUNTIMES, LIGHT, busy=0.9, here=[Here("junctiond", 12_000.0, "this run")])
    mark = next(trace for trace in fig.data if trace.name == "this run")
    assert mark.x[0] == 12_000.0
    assert mark.y[0] == pytest.approx(1.25)


@pytest.mark.parametrize(("rate", "late"), [(0.0, 3e-3), (800.0, 3e-3), (2400.0, 3.25e-3), (9000.0, 7e-3)])
def test_between_loads_the_tail_is_between_theirs(rate: float, late: float) -> None:
    assert _at(RUNTIMES["containerd"]["points"], rate) == pytest.approx(late)


def test_a_load_in_words() -> None:
    assert spoken(RUNTIMES["junctiond"]["points"][2]) == "p50 1.00\u00a0ms, p99 2.00\u00a0ms"
