import polars as pl

from app.charts.lanes import Lane, changes, count_at, counts, decisions, lane_label, lanes
from app.charts.slots import DECODE, PREFILL, WHOLE, role_colour
from app.charts.timeline import Span
from app.charts.tokens import LIGHT

STEPS = pl.DataFrame(
    {"t_s": [0.0, 60.0, 120.0, 7200.0, 9000.0], "count": [4.0, 5.0, 6.0, 6.0, 3.0], "gpus": [16.0, 20.0, 24.0, 24.0, 12.0]}
)
INSTANCES = pl.DataFrame(
    {
        "t_s": [0.0, 0.0, 300.0, 300.0],
        "instance_id": ["a/1", "a/2"] * 2,
        "endpoint_id": ["a"] * 4,
        "gpus": [4] * 4,
        "role": [PREFILL, PREFILL, PREFILL, DECODE],
        "on_share": [1.0, 1.0, 1.0, 1.0],
    }
)


def _events(*rows: tuple[float, str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["t_s", "kind", "entity_id", "value"], orient="row")


def test_counts_hold_until_they_change() -> None:
    assert [count_at(STEPS, t_s) for t_s in (-1.0, 60.0, 7199.0, 1e9)] == [4.0, 5.0, 6.0, 3.0]
    assert changes(STEPS)["t_s"].to_list() == [0.0, 60.0, 120.0, 9000.0]


def test_instances_are_counted_by_role_and_a_pool_given_up_falls_to_zero() -> None:
    found = counts(INSTANCES)
    assert list(found) == [("a", PREFILL), ("a", DECODE)]
    assert found["a", PREFILL].rows() == [(0.0, 2.0, 8.0), (300.0, 1.0, 4.0)]
    assert found["a", DECODE]["count"].to_list() == [0.0, 1.0]


def test_what_stands_at_the_start_is_no_decision() -> None:
    assert decisions(_events((0.0, "instance_start", "a/1", 4.0)), INSTANCES, 0.0) == {}


def test_a_decision_belongs_to_the_role_of_that_time() -> None:
    found = decisions(_events((120.0, "instance_stop", "a/2", 4.0), (360.0, "instance_start", "a/2", 4.0)), INSTANCES, 0.0)
    assert found["a", PREFILL].rows() == [(120.0, -1, -4.0, False)]
    assert found["a", DECODE].rows() == [(360.0, 1, 4.0, False)]


def test_steps_of_one_direction_that_follow_at_once_are_one_decision_and_a_loss_is_none() -> None:
    events = _events(
        (60.0, "instance_start", "a/1", 4.0), (120.0, "instance_start", "a/2", 4.0), (200.0, "instance_lost", "a/1", 4.0),
        (5000.0, "instance_start", "a/1", 4.0),
    )  # fmt: skip
    found = decisions(events, INSTANCES.with_columns(pl.lit(WHOLE).alias("role")), 0.0)["a", WHOLE]
    assert found.rows() == [(60.0, 2, 8.0, False), (200.0, -1, -4.0, True), (5000.0, 1, 4.0, False)]


def test_a_loss_right_after_a_stop_is_a_mark_of_its_own() -> None:
    events = _events((60.0, "instance_stop", "a/1", 4.0), (120.0, "instance_lost", "a/2", 4.0))
    assert decisions(events, INSTANCES, 0.0)["a", PREFILL].rows() == [(60.0, -1, -4.0, False), (120.0, -1, -4.0, True)]


def test_one_that_goes_as_another_comes_is_no_change_of_the_count_and_unknown_slots_are_left_out() -> None:
    swap = _events((60.0, "instance_stop", "a/1", 4.0), (60.0, "instance_start", "a/2", 4.0), (90.0, "instance_start", "a/9", 4.0))
    assert [len(frame) for frame in decisions(swap, INSTANCES, 0.0).values()] == [0]


def test_lanes_take_the_hue_of_their_role_and_say_what_is_on_now(span: Span) -> None:
    moves = decisions(_events((120.0, "instance_lost", "a/1", 4.0)), INSTANCES, 0.0)["a", PREFILL]
    found = [Lane(lane_label("a", PREFILL), PREFILL, STEPS, STEPS, moves), Lane(lane_label("b", WHOLE), WHOLE, STEPS)]
    fig = lanes(found, LIGHT, span, cursor_s=9000.0)
    assert list(fig.layout.yaxis.ticktext) == ["a prefill", "b"]
    assert [note.text for note in fig.layout.annotations] == ["<b>3</b>", "<b>3</b>"]
    hues = {trace.line.color for trace in fig.data if trace.name and trace.name.endswith("shown")}
    assert hues == {role_colour(LIGHT, PREFILL), role_colour(LIGHT, WHOLE)}
    assert [tuple(trace.marker.color) for trace in fig.data if trace.mode == "markers"] == [(LIGHT.limit,)]
