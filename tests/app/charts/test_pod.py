import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from app.charts.incidence import grid_of, incidence_svg
from app.charts.pod import links, lit_by, name_of, node_of, pod_svg
from app.charts.rings import HEIGHT, WIDTH, cables, places
from app.charts.tokens import DARK, LIGHT
from twin.memory.blocks import block_design
from twin.memory.islands import islands
from twin.memory.pods import NO_ISLAND, Pod


def _full(hosts: int, ports: int) -> Pod:
    reach = np.tile(np.arange(ports), (hosts, 1))
    return Pod("full", "fully_connected", reach, ports, ports, hosts, np.full(hosts, NO_ISLAND), np.full(ports, NO_ISLAND))


def _switched(hosts: int, switches: int, each: int) -> Pod:
    devices = switches * each
    reach = np.tile(np.arange(devices), (hosts, 1))
    return Pod("switched", "switch", reach, devices, switches, 1, np.full(hosts, NO_ISLAND), np.full(devices, NO_ISLAND), switches)


PODS = {"block": block_design(25, 4), "full": _full(8, 8), "switched": _switched(24, 8, 8), "islands": islands(3, 7, 3, 1)}


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_every_node_and_every_cable_is_drawn_once_inside_the_figure(pod: Pod) -> None:
    root = ET.fromstring(pod_svg(pod, LIGHT))
    nodes = [node.get("data-node") for node in root.iter() if node.get("data-node")]
    counts = {"h": pod.hosts, "d": pod.devices, "s": pod.switches}
    assert sorted(nodes) == sorted(f"{letter}{i}" for letter, number in counts.items() for i in range(number))
    drawn = {(node.get("data-a"), node.get("data-b")) for node in root.iter() if node.get("data-a")}
    assert drawn == set(cables(pod))
    expected = pod.hosts * pod.switches + pod.devices if pod.switches else pod.hosts * pod.host_ports
    assert len(drawn) == expected
    where = places(pod)
    for points in (where.hosts, where.devices, where.switches):
        assert np.all((points >= 0) & (points <= [WIDTH, HEIGHT]))


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_no_two_nodes_stand_on_each_other(pod: Pod) -> None:
    where = places(pod)
    points = np.vstack([where.hosts, where.devices, where.switches])
    apart = np.linalg.norm(points[:, None] - points[None], axis=2) + 100.0 * np.eye(len(points))
    assert apart.min() > 2.5


def test_the_figure_is_the_same_every_time() -> None:
    assert pod_svg(PODS["block"], DARK, host=3) == pod_svg(block_design(25, 4), DARK, host=3)


def test_an_island_is_one_arc_with_its_own_devices_inside_it() -> None:
    pod = PODS["islands"]
    where = places(pod)
    centre = np.array([WIDTH / 2, HEIGHT / 2])
    angles = np.degrees(np.arctan2(*(where.hosts - centre).T[::-1]))
    assert np.ptp(angles[:7]) < 180
    radius = np.linalg.norm(where.devices - centre, axis=1)
    assert radius[pod.device_islands == 0].min() > radius[pod.device_islands == NO_ISLAND].max()
    assert "island 2" in pod_svg(pod, LIGHT)


def test_a_host_lights_its_devices_and_everybody_one_hop_away() -> None:
    own, peers, lit = lit_by(PODS["block"], 3)
    assert len(own) == 8
    assert len(peers) == 8 * 3
    assert {node for node in lit if node[0] == "h"} == {f"h{i}" for i in range(25)}
    pod = PODS["islands"]
    _, _, lit = lit_by(pod, 0)
    assert {node for node in lit if node[0] == "h"} == {f"h{i}" for i in np.flatnonzero(pod.overlap[0])}


def test_what_is_lost_is_crossed_out_in_the_limits_red() -> None:
    whole, broken = (pod_svg(PODS["block"], LIGHT, lost=lost) for lost in ((), ("device-2", "host-3/port-2", "row-1")))
    assert broken.count(LIGHT.limit) - whole.count(LIGHT.limit) == 3


def test_names_and_nodes_go_both_ways() -> None:
    assert [node_of(name_of(node)) for node in ("h0", "d191", "s7")] == ["h0", "d191", "s7"]
    assert node_of("host-x") is None
    assert links(PODS["switched"])["host-2/port-8"] == ("h1", "s7")
    pod = PODS["block"]
    assert links(pod)["host-3/port-2"] == ("h2", f"d{pod.reach[2][1]}")


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_the_matrix_has_a_cell_for_every_device_that_a_host_reaches(pod: Pod) -> None:
    svg = incidence_svg(pod, LIGHT, host=1)
    cells = set(re.findall(r'data-a="h(\d+)" data-b="d(\d+)"', svg))
    assert cells == {(str(host), str(device)) for host, row in enumerate(pod.reach.tolist()) for device in row}
    assert svg.count(LIGHT.candidate_fill) == 1
    assert grid_of(pod).left.max() + grid_of(pod).cell_w <= WIDTH + 0.01


def test_the_matrix_puts_islands_first_and_external_devices_after_a_gap() -> None:
    pod = PODS["islands"]
    grid = grid_of(pod)
    assert grid.inside == 21
    assert sorted(grid.order[:21].tolist()) == list(range(21))
    step = np.diff(np.sort(grid.left))
    assert int(np.argmax(step)) == 20
    assert grid.groups == ((0, 6), (7, 13), (14, 20))
