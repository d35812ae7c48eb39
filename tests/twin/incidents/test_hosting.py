"""Instances on hosts: stolen, slow and missing cores; the network of both ends."""

import numpy as np
import pytest

from twin.incidents import services as k
from twin.incidents.callgraph import Graph, graph
from twin.incidents.hosting import Hosts, hosted, network, serve_with, shares
from twin.incidents.settings import Settings

NAMES = ("host-1", "host-2", "host-3")


def _graph() -> Graph:
    services = ({"id": "web", "hosts": NAMES[:2], "calls": [{"to": "api"}]}, {"id": "api", "hosts": NAMES[2:]})
    return graph(Settings(services=services), NAMES, (), ())  # type: ignore[arg-type]


def _hosts(**changed: list[float]) -> Hosts:
    usual = {"live": [1.0] * 3, "speed": [1.0] * 3, "free_cores": [32.0] * 3, "stolen": [0.0] * 3, "nic_s": [0.0] * 3}
    return Hosts(**{name: np.array(changed.get(name, values)) for name, values in usual.items()})


def _columns(hosts: Hosts) -> np.ndarray:
    found = _graph()
    columns = found.services.copy()
    serve_with(found, hosted(found, hosts, np.ones(3)), np.ones(3), columns)
    return columns


def test_undisturbed_hosts_give_what_the_scenario_says() -> None:
    columns = _columns(_hosts())
    assert columns[:, k.CORES].tolist() == [4.0, 2.0]
    assert columns[:, k.SERVICE_S] == pytest.approx([0.004, 0.004])
    assert columns[:, k.SERVICE_CV2] == pytest.approx([1.0, 1.0])


def test_a_stolen_half_of_one_of_two_hosts_takes_a_quarter_of_what_they_serve() -> None:
    columns = _columns(_hosts(stolen=[0.5, 0.0, 0.0]))
    able_per_s = columns[0, k.CORES] / columns[0, k.SERVICE_S]
    assert able_per_s == pytest.approx(0.75 * 4.0 / 0.004)
    assert columns[0, k.SERVICE_CV2] > 1.0
    assert columns[1, k.SERVICE_S] == pytest.approx(0.004)


def test_a_host_without_free_cores_gives_its_part() -> None:
    found = _graph()
    had = hosted(found, _hosts(free_cores=[1.0, 32.0, 0.0]), np.ones(3))
    assert had.able.tolist() == [1.0, 2.0, 0.0]
    assert had.lost_share.tolist() == [0.5, 0.0, 1.0]
    assert shares(found, had, np.ones(3)) == pytest.approx([1 / 3, 2 / 3, 0.0])


def test_a_service_without_a_live_host_has_no_cores() -> None:
    columns = _columns(_hosts(live=[1.0, 1.0, 0.0]))
    assert columns[:, k.CORES].tolist() == [4.0, 0.0]
    assert np.isfinite(columns).all()


def test_both_ends_of_a_call_count_and_a_bad_card_as_often_as_it_is_met() -> None:
    found = _graph()
    calls = found.calls.copy()
    network(found, _hosts(), calls)
    usual_s, var = calls[0, k.NETWORK_S], calls[0, k.NETWORK_VAR]
    assert usual_s == pytest.approx(0.0004)
    latency_s = network(found, _hosts(nic_s=[0.05, 0.0, 0.0]), calls)
    assert calls[0, k.NETWORK_S] - usual_s == pytest.approx(0.025)
    assert calls[0, k.NETWORK_VAR] > var
    assert latency_s == pytest.approx([0.0502, 0.0002, 0.0002])
