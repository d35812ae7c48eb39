import polars as pl

from app.charts.fillings import fillings
from app.charts.options import BEATEN, BEST, COST, HOSTS, MISSED, SAVING, options, options_title
from app.charts.tokens import DARK, LIGHT

PODS = pl.DataFrame(
    {
        "name": ["a", "b", "c", "d"],
        "title": ["three hosts", "many hosts", "full pod", "dear pod"],
        "label": ["", "", "full, 8", ""],
        HOSTS: [3.0, 96.0, 8.0, 24.0],
        COST: [300.0, 1300.0, 2900.0, 3400.0],
        SAVING: [0.02, 0.09, 0.05, 0.08],
        "stands": [BEST, BEST, BEATEN, MISSED],
        "why": ["none beats it", "none beats it", "beaten by many hosts", "cost per host too high"],
    }
)
WAYS = [
    {"migrate": m, "headroom_share": h, "of_ideal_share": {"sum_of_peaks": s}, "moved_bytes_per_day": b, "overflows_per_day": o}
    for m, h, s, b, o in [
        (False, None, 0.3, 0.0, 0.0), (False, 0.0, 0.6, 0.0, 20.0),
        (True, 0.0, 0.95, 3e11, 0.0), (True, 0.02, 0.8, 9e10, 0.0), (True, 0.05, 0.8, 9e10, 0.0), (True, 0.1, 0.6, 2e10, 0.0),
    ]
]  # fmt: skip


def _points(fig) -> dict[str, object]:
    return {row[0]: trace for trace in fig.data if trace.customdata is not None and trace.hovertemplate for row in trace.customdata}


def test_pods_that_none_beats_are_blue_beaten_ones_faint_and_those_that_miss_a_bound_hollow() -> None:
    traces = _points(options(PODS, LIGHT))
    assert traces["a"].marker.color == traces["b"].marker.color == LIGHT.candidate
    assert traces["c"].marker.color.startswith("rgba(")
    assert traces["d"].marker.color == LIGHT.surface
    assert "beaten by many hosts" in traces["c"].customdata[0]


def test_more_hosts_are_a_larger_dot_and_the_drafted_pod_is_ringed() -> None:
    fig = options(PODS, DARK, here="a", bounds={COST: 2000.0})
    small, large = _points(fig)["a"].marker.size
    assert small < large
    ring = next(trace for trace in fig.data if trace.marker.symbol == "circle-open")
    assert list(ring.x) == [300.0]
    assert fig.layout.shapes[0].line.color == DARK.limit


def test_words_beside_points_name_the_hosts_of_the_best_and_the_plain_pods() -> None:
    words = {note.text for note in options(PODS, LIGHT).layout.annotations}
    assert words == {"3 hosts", "96 hosts", "full, 8"}


def test_the_title_names_the_baseline_also_where_no_pod_keeps_the_bounds() -> None:
    assert "against own peaks" in options_title(PODS, "own peaks")
    assert "many hosts" in options_title(PODS, "own peaks")
    none = PODS.with_columns(pl.lit(MISSED).alias("stands"))
    assert options_title(none, "own peaks") == "No pod keeps every bound; savings are against own peaks"


def test_ways_that_move_are_joined_headrooms_of_one_size_are_one_point_with_both_names() -> None:
    fig = fillings(WAYS, "sum_of_peaks", LIGHT, budget_bytes=1e11, chosen=WAYS[3])
    moving = next(trace for trace in fig.data if trace.line.color == LIGHT.candidate)
    assert [text for text in moving.text if text] == ["10\u00a0%", "2\u00a0%, 5\u00a0%", "0\u00a0%"]
    assert list(moving.x) == sorted(moving.x)
    assert any(shape.line.color == LIGHT.limit for shape in fig.layout.shapes)


def test_a_way_that_turns_somebody_away_is_hollow() -> None:
    never = next(trace for trace in fillings(WAYS, "sum_of_peaks", LIGHT, budget_bytes=0.0).data if trace.marker.symbol == "diamond")
    assert sorted(never.marker.color) == sorted([LIGHT.today, LIGHT.surface])
