"""Instances on hosts: cores that are left to them, speed, network."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.incidents import services as k
from twin.incidents.calibrated import number
from twin.incidents.callgraph import Graph

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hosts:
    """Hosts (H) over one window: ``live`` share of it, ``speed`` (1 as calibrated), ``free_cores``, ``stolen`` share, ``latency_s``."""

    live: Floats
    speed: Floats
    free_cores: Floats
    stolen: Floats
    nic_s: Floats


@dataclass(frozen=True, slots=True)
class Hosted:
    """What instances (I) have of their hosts: ``cores`` that are up, ``able`` of them by speed and what others leave, ``speed``.

    ``lost_share`` (H) is what others took of the cores that services have been given.
    """

    cores: Floats
    able: Floats
    speed: Floats
    lost_share: Floats


def hosted(found: Graph, hosts: Hosts, up_share: Floats) -> Hosted:
    """Return what instances have; ``up_share`` (I) of the window they are up.

    Where a host has fewer cores left than its instances are given, all of them get their part.
    """
    at = found.instance_host
    given = np.bincount(at, weights=found.instance_cores, minlength=len(hosts.live))
    left = np.divide(hosts.free_cores, given, out=np.ones(len(given)), where=given > 0.0)
    own = np.clip(left, 0.0, 1.0) * (1.0 - hosts.stolen)
    cores = found.instance_cores * hosts.live[at] * up_share
    return Hosted(cores, cores * hosts.speed[at] * own[at], hosts.speed[at], 1.0 - own)


def serve_with(found: Graph, had: Hosted, time_factor: Floats, services: Floats) -> None:
    """Write cores, times and their variation into the columns of services; requests go to instances as these are able to serve.

    ``time_factor`` (I) multiplies core times. A stolen or slow core makes a request longer, not the queue wider.
    """
    able = found.per_service(np.divide(had.able, time_factor))
    up = np.where(able > 0.0, found.per_service(had.cores), 0.0)
    part = shares(found, had, time_factor)
    each = np.divide(had.cores * time_factor, had.able, out=np.zeros(len(part)), where=had.able > 0.0)
    mean = np.divide(up, able, out=np.ones(len(up)), where=able > 0.0)
    second = found.per_service(part * each * each)
    services[:, k.CORES] = up
    services[:, k.SERVICE_S] *= mean
    services[:, k.SERVICE_CV2] = np.where(able > 0.0, (1.0 + services[:, k.SERVICE_CV2]) * second / (mean * mean) - 1.0, 1.0)


def shares(found: Graph, had: Hosted, time_factor: Floats) -> Floats:
    """Return which share of a service's requests each instance (I) serves: as it is able."""
    able = had.able / time_factor
    whole = found.per_service(able)[found.instance_service]
    return np.divide(able, whole, out=np.zeros(len(able)), where=whole > 0.0)


def network(found: Graph, hosts: Hosts, calls: Floats) -> Floats:
    """Write what the way of each call takes into its columns, and return the mean latency of each host (H).

    Both ends count; a bad card adds an exponential time. Instances are met as often as they have cores.
    """
    usual, cv = number("network.latency_s"), number("network.latency_cv")
    mean = usual + hosts.nic_s
    second = usual * usual * (1.0 + cv * cv) + 2.0 * usual * hosts.nic_s + 2.0 * hosts.nic_s * hosts.nic_s
    weight = found.instance_cores * hosts.live[found.instance_host]
    whole = found.per_service(weight)
    whole = np.where(whole > 0.0, whole, 1.0)
    of_service = found.per_service(weight * mean[found.instance_host]) / whole
    var = found.per_service(weight * second[found.instance_host]) / whole - of_service * of_service
    inside = found.callees >= 0
    calls[:, k.NETWORK_S] = of_service[found.callers] + np.where(inside, of_service[found.callees], 0.0)
    calls[:, k.NETWORK_VAR] = np.maximum(var[found.callers] + np.where(inside, var[found.callees], 0.0), 0.0)
    return mean
