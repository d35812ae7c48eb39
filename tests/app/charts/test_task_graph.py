"""Task graphs are drawn in layers, the same each time, and nothing lies on anything."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.charts.task_graph import Node, layers, places, task_graph_svg
from app.charts.tokens import DARK, LIGHT
from twin.workflows.graph import Graph, Stage


def _graph(edges: dict[str, tuple[str, ...]]) -> Graph:
    stages = tuple(Stage(name, name.capitalize(), after or ("in",), name, after) for name, after in edges.items())
    return Graph(stages, ("in",), list(edges)[-1])


VIDEO = _graph(
    {"scenes": (), "speech": ("scenes",), "objects": ("scenes",), "summary": ("scenes", "speech", "objects"), "answer": ("summary",)}
)
NODES = [Node(stage.id, stage.title, ("Somebody", "8 A100"), f"{stage.title}: Somebody") for stage in VIDEO.stages]


@st.composite
def _graphs(draw: st.DrawFn) -> Graph:
    names = [f"s{index}" for index in range(draw(st.integers(1, 9)))]
    edges = {name: tuple(one for one in names[:index] if draw(st.booleans())) for index, name in enumerate(names)}
    return _graph(edges)


def test_a_stage_stands_one_layer_below_the_last_that_it_reads_from_and_long_edges_pass_at_the_side() -> None:
    assert layers(VIDEO) == [["scenes"], ["speech", "objects", "scenes>summary"], ["summary"], ["answer"]]


@settings(max_examples=60, deadline=None)
@given(_graphs(), st.sampled_from((368.0, 300.0)))
def test_boxes_keep_inside_and_apart_and_edges_go_down(graph: Graph, width: float) -> None:
    found = places(graph, [Node(stage.id, stage.title, ("a", "b"), "") for stage in graph.stages], width)
    for one, other in combinations(found.values(), 2):
        across = abs(one.x - other.x) >= (one.width + other.width) / 2 - 1e-6
        down = abs(one.y - other.y) >= (one.height + other.height) / 2 - 1e-6
        assert across or down
    for stage in graph.stages:
        assert found[stage.id].x - found[stage.id].width / 2 >= -1e-6
        assert found[stage.id].x + found[stage.id].width / 2 <= width + 1e-6
        assert all(found[name].y < found[stage.id].y for name in stage.after)


@settings(max_examples=20, deadline=None)
@given(_graphs())
def test_a_graph_is_drawn_the_same_each_time(graph: Graph) -> None:
    nodes = [Node(stage.id, stage.title, (), "") for stage in graph.stages]
    assert task_graph_svg(graph, nodes, LIGHT, "x") == task_graph_svg(graph, nodes, LIGHT, "x")


def test_stages_can_be_picked_and_the_chosen_one_is_blue() -> None:
    svg = task_graph_svg(VIDEO, NODES, DARK, "Five stages", chosen="speech")
    assert svg.count("data-pick=") == 5
    assert svg.count(f'stroke="{DARK.candidate}"') == 1
    assert "<title>Five stages</title>" in svg


def test_words_from_a_scenario_are_text_and_never_markup() -> None:
    node = Node("scenes", "<script>x</script>", ('"><b>y', "&z"), '"><img src=x>')
    svg = task_graph_svg(_graph({"scenes": ()}), [node], LIGHT, "<i>")
    assert not any(bad in svg for bad in ("<script", "<b>", "<img", "<i>"))


def test_todays_way_of_a_stage_stands_below_the_candidates_on_a_dashed_grey_line() -> None:
    with_today = [Node(node.id, node.title, node.lines, node.says, "today: 1 A100" if node.id == "speech" else "") for node in NODES]
    svg = task_graph_svg(VIDEO, with_today, LIGHT, "x")
    assert svg.count("today: 1 A100") == 1
    assert f'stroke="{LIGHT.today}" stroke-width="1.5" stroke-dasharray="4 3"' in svg


@pytest.mark.parametrize("count", [1, 4])
def test_stages_side_by_side_get_the_same_width(count: int) -> None:
    graph = _graph({f"s{index}": () for index in range(count)})
    found = places(graph, [Node(stage.id, "x", (), "") for stage in graph.stages])
    assert len({round(place.width, 6) for place in found.values()}) == 1
