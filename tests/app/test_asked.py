"""A bound is broken exactly where more than the allowance is used."""

from hypothesis import given, settings
from hypothesis import strategies as st

from app.asked import Line, share, worst
from app.report.judgement import Bound
from policies.intent.judge import standing
from policies.intent.model import Expectation


@settings(max_examples=80, deadline=None)
@given(bound=st.floats(1.0, 1e6), value=st.floats(0.0, 2e6), op=st.sampled_from(["<=", ">="]))
def test_above_one_is_broken_for_every_direction(bound: float, value: float, op: str) -> None:
    wish = Expectation.model_validate({"metric": "serving.throughput_per_s", "op": op, "value": bound})
    used = share(wish.metric, op, bound, value)
    assert used is not None
    if abs(used - 1.0) > 1e-6:
        assert (standing(wish, value, bound) == "broken") == (used > 1.0)


def test_the_error_budget_is_the_allowance_of_a_share_that_must_be_high() -> None:
    assert share("serving.slo_attainment_share", ">=", 0.99, 0.992) == 0.8
    assert share("plant.thermal_throttle_events", "<=", 0.0, 0.0) == 0.0
    assert share("plant.thermal_throttle_events", "<=", 0.0, 3.0) == 1.25


def _line(word: str, must: bool) -> Line:
    bound = Bound("I-01", "<=", 80.0, relative=False, must=must)
    return Line("I-01", "plant.gpu_temp_max_c", bound, 82.0, 81.0, word, 1.01, 1.02)


def test_a_missed_wish_is_no_breach() -> None:
    assert worst([_line("broken", must=False), _line("met", must=True)]) == "at risk"
    assert worst([_line("broken", must=True), _line("met", must=True)]) == "broken"
    assert worst([]) == "waiting"


def test_a_line_names_its_place_and_hours() -> None:
    bound = Bound("I-01", "<=", 80.0, relative=False, must=True, window_words="from 12:00 to 18:00")
    assert Line("I-01", "plant.gpu_temp_max_c", bound, None, None, "waiting", None, None).label == "Hottest GPU, 12:00–18:00"
