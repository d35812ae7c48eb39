"""Chooses Junction instances, or those of their parts that are asked for."""

from dataclasses import replace

from policies.baselines.functions import keeps
from policies.system import Surroundings
from policies.systems.junctiond.knobs import JunctiondKnobs
from twin.functions.levers import Runtime, RuntimeAction, RuntimeObservation
from twin.functions.runtimes import named


class Junctiond:
    """Runs gateway, provider and every function in Junction instances. It remembers nothing."""

    def __init__(self, knobs: JunctiondKnobs, surroundings: Surroundings) -> None:
        del surroundings
        self._knobs = knobs

    def choose(self, seen: RuntimeObservation) -> RuntimeAction:
        """Return junctiond, less the parts that the knobs take away."""
        return RuntimeAction(instances(self._knobs, cached=keeps(self._knobs.metadata_cache, seen)))


def instances(knobs: JunctiondKnobs, *, cached: bool = True) -> Runtime:
    """Return the runtime that the knobs describe.

    Without bypass no message is polled for, but the scheduler's core spins on: it is set by its own knob.
    """
    own, plain = named("junctiond", cached=cached), named("containerd", cached=cached)
    hop, start = own.hop if knobs.bypass else plain.hop, own if knobs.fast_start else plain
    hop = replace(
        hop,
        stack_median_s=hop.stack_median_s * knobs.hop_factor,
        spike_share=min(hop.spike_share * knobs.interference_factor, 1.0),
        cpu_s=hop.cpu_s * knobs.cpu_factor,
    )
    return replace(
        own,
        hop=hop,
        cold_median_s=start.cold_median_s * knobs.start_factor,
        cold_p99_s=start.cold_p99_s * knobs.start_factor,
        polling_cores=own.polling_cores if knobs.polling_cores is None else knobs.polling_cores,
        polling_cores_each=own.polling_cores_each if knobs.polling_cores_each is None else knobs.polling_cores_each,
    )
