"""The way from a cause to its symptom, layer by layer."""

import re

from app.charts import tokens
from app.charts.causal_path import Beside, Stop, causal_path_svg

PATH = (
    Stop("aisle-2", "air handler lost", "less air", when="13:20", cites="E3"),
    Stop("rack-36", "rack", "rack-36 is warm", edge="cooled by", cites="E4", beside=(Beside("rack-35", True), Beside("rack-37", False))),
    Stop("chat-70b", "endpoint: endpoints.slo_share", "late", when="13:44"),
)


def test_stops_stand_in_the_order_of_the_path_and_can_be_picked() -> None:
    drawn = causal_path_svg(PATH, tokens.LIGHT, "title")
    picks = re.findall(r'data-pick="([^"]+)"', drawn)
    assert [name for name in picks if not name.startswith("rack-3") or name == "rack-36"] == ["aisle-2", "rack-36", "chat-70b"]
    ys = [float(re.search(rf'y="([\d.]+)"[^>]*>{name}<', drawn)[1]) for name in ("aisle-2", "rack-36", "chat-70b")]  # type: ignore[index]
    assert ys == sorted(ys)


def test_a_step_that_the_topology_does_not_have_is_dashed() -> None:
    drawn = causal_path_svg(PATH, tokens.LIGHT, "title")
    assert drawn.count("stroke-dasharray") == 1
    assert "cooled by it" in drawn


def test_others_that_hang_on_the_same_say_whether_the_incident_names_them() -> None:
    drawn = causal_path_svg(PATH, tokens.LIGHT, "title")
    assert "rack-35 hangs on the same: the incident names it, too" in drawn
    assert "rack-37 hangs on the same: nothing was reported of it" in drawn


def test_of_many_others_a_few_are_drawn_and_the_rest_counted() -> None:
    many = tuple(Beside(f"gpu-{place}", False) for place in range(40))
    drawn = causal_path_svg((PATH[0], Stop("gpu-x", "GPU", "hot", edge="in", beside=many)), tokens.DARK, "title")
    assert "+ 28 more" in drawn
    assert drawn.count("hangs on the same") == 12


def test_the_same_path_gives_the_same_drawing_and_words_from_outside_are_escaped() -> None:
    nasty = (Stop("<script>x</script>", "a", "b<img>"),)
    assert causal_path_svg(PATH, tokens.LIGHT, "t") == causal_path_svg(PATH, tokens.LIGHT, "t")
    assert "<script" not in causal_path_svg(nasty, tokens.LIGHT, "t")
    assert "<img" not in causal_path_svg(nasty, tokens.LIGHT, "t")
