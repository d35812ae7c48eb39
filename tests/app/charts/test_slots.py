import polars as pl

from app.charts.slots import DECODE, IMAGE, PREFILL, WHOLE, pool_words, role_colour, servers, slot_gpus, slots
from app.charts.tokens import LIGHT, stage_colour
from twin.fleet_file import load
from twin.serving import levers
from twin.serving.layout import Endpoint, layout
from twin.sources import data_dir


def test_widths_of_slots_are_those_of_the_twin() -> None:
    spec = Endpoint(id="vision-11b", model="llama-3.2-11b", tp=4, tp_choices=(2, 1))
    place = layout((spec,), load(data_dir() / "fleets" / "example.toml"), {"vision-11b": (50, 51, 96)}, 0.003, {})
    assert slot_gpus(spec.model_dump(), len(place.ids)) == place.gpus.tolist()
    assert servers(spec.model_dump(), len(place.ids)) == 3


def test_a_number_of_slots_that_does_not_fit_falls_back_to_the_own_width() -> None:
    assert servers({"tp": 4, "tp_choices": [2]}, 7) is None
    assert slot_gpus({"tp": 4, "tp_choices": [2]}, 7) == [4] * 7


def test_slots_that_were_never_on_are_left_out_and_old_runs_are_filled_in() -> None:
    old = pl.DataFrame({"t_s": [0.0, 0.0, 300.0, 300.0], "instance_id": ["a/1", "a/2"] * 2, "on_share": [1.0, 0.0, 0.5, 0.0]})
    frame = slots(old, {"a": {"tp": 4}})
    assert frame.select("endpoint_id", "number", "gpus", "role", "preemptions").unique().rows() == [("a", 1, 4, 0, 0)]
    assert frame["atgt_budget_share"].null_count() == 2


def test_a_pool_is_named_by_its_widths_and_the_mean_number_on() -> None:
    two = pl.DataFrame({"t_s": [0.0, 0.0, 300.0], "gpus": [4, 2, 4], "on_share": [1.0, 1.0, 1.0]})
    assert pool_words(two, 2) == "1\u00a0×\u00a04 + 0.5\u00a0×\u00a02\u00a0GPUs"
    assert pool_words(two.clear()) == "none on"


def test_roles_are_numbered_as_in_the_twin() -> None:
    assert (WHOLE, IMAGE, PREFILL, DECODE) == (levers.WHOLE, levers.IMAGE, levers.PREFILL, levers.DECODE)


def test_roles_take_the_colours_of_their_stages() -> None:
    assert role_colour(LIGHT, IMAGE) == stage_colour(LIGHT, "encode")
    assert role_colour(LIGHT, DECODE) == stage_colour(LIGHT, "decode")
    assert role_colour(LIGHT, 0) not in LIGHT.series[:4]
