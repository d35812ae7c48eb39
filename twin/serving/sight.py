"""What holders may see of serving at the end of a window."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.serving import batching as b
from twin.serving.accounts import Accounts
from twin.serving.layout import Endpoint, Layout
from twin.serving.levers import PlantAtInstances, ServingObservation
from twin.serving.lifecycle import Lifecycle
from twin.serving.pipeline import Pipeline
from twin.stack import read_only

Floats = NDArray[np.float64]
_OF_PLANT: Final = tuple(sorted(set(PlantAtInstances.__dataclass_fields__) - {"outside_c"}))


class Sight:
    """Makes observations of the endpoints, their instances and the plant around them.

    It reads ``pipelines``, ``accounts`` and ``instances`` whenever it is asked and changes none of them.
    """

    def __init__(
        self,
        place: Layout,
        specs: tuple[Endpoint, ...],
        row_ids: tuple[str, ...],
        window_s: float,
        pipelines: Sequence[Pipeline],
        accounts: Accounts,
        instances: Lifecycle,
    ) -> None:
        self._place, self._row_ids, self._window_s = place, row_ids, window_s
        self._pipelines, self._accounts, self._instances = pipelines, accounts, instances
        self._endpoint_ids = tuple(spec.id for spec in specs)
        self._fixed = _views(_fixed(place, specs))

    def observe(self, t_s: float, hour: float, clock_share: Floats, plant: PlantAtInstances) -> ServingObservation:
        """Return what is to be seen at ``t_s``, ``hour`` of the day, with instances at ``clock_share``, shape I."""
        return ServingObservation(
            t_s=t_s,
            window_s=self._window_s,
            hour=hour,
            outside_c=plant.outside_c,
            endpoint_ids=self._endpoint_ids,
            row_ids=self._row_ids,
            finished=self._accounts.finished,
            **self._fixed,
            **_locked(self._moving(clock_share)),
            **_locked(self._accounts.seen),
            **_views({name: getattr(plant, name) for name in _OF_PLANT}),
        )

    def _moving(self, clock_share: Floats) -> dict[str, NDArray[Any]]:
        """Return what instances do and hold at this moment, shape I each."""
        roles, place = self._instances.roles, self._place
        each = np.arange(len(place.ids))
        return {
            "state": self._instances.state.copy(),
            "role": roles.role.copy(),
            "variant": roles.variant.copy(),
            "latency": place.profiles[roles.variant, each],
            "encode_s": place.encode_s[roles.variant, each],
            "clock_share": clock_share,
            "max_batch": self._of_slots(lambda pipeline: pipeline.stages.seen(b.MAX_BATCH)),
            "queued": self._of_slots(lambda pipeline: pipeline.stages.queued),
            "outstanding": self._instances.outstanding(),
            "kv_share": self._of_slots(lambda pipeline: pipeline.stages.kv_share),
            "pending_tokens": self._of_slots(lambda pipeline: pipeline.stages.pending_tokens),
            "pending_tiles": self._of_slots(lambda pipeline: pipeline.stages.pending_tiles),
        }

    def _of_slots(self, of: Callable[[Pipeline], NDArray[Any]]) -> NDArray[Any]:
        """Return what every pipeline says of its slots, shape I."""
        return np.concatenate([of(pipeline) for pipeline in self._pipelines]) if self._pipelines else np.zeros(0, dtype=np.int64)


def _views(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: read_only(array) for name, array in arrays.items()}


def _locked(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Lock the arrays themselves: of those that are made anew and never changed no view is needed."""
    for array in arrays.values():
        array.setflags(write=False)
    return arrays


def _fixed(place: Layout, specs: tuple[Endpoint, ...]) -> dict[str, NDArray[Any]]:
    """Return the part of an observation that is the same at every window."""
    return {
        "instance_endpoint": place.endpoint,
        "instance_server": place.server,
        "instance_row": place.row,
        "instance_first_gpu": place.first_gpu,
        "instance_gpus": place.gpus,
        "instance_usd_per_h": place.usd_per_h,
        "configured": place.configured,
        "variant_latency": place.profiles,
        "variant_quality_share": _qualities(specs),
        "endpoint_tokens_per_tile": np.array([_tokens_per_tile(spec) for spec in specs], dtype=np.float64),
        "configured_max_batch": np.array([spec.max_batch for spec in specs], dtype=np.int64)[place.endpoint],
        "endpoint_ttft_slo_s": np.array([spec.ttft_slo_s for spec in specs], dtype=np.float64),
        "endpoint_atgt_slo_s": np.array([spec.atgt_slo_s for spec in specs], dtype=np.float64),
        "endpoint_decodes_beside": np.array([spec.scheduler != "prefill_first" for spec in specs], dtype=np.bool_),
    }


def _qualities(specs: tuple[Endpoint, ...]) -> Floats:
    """Return the quality of each endpoint's variants, shape E x V; not a number beyond an endpoint's list."""
    most = max((len(spec.choices) for spec in specs), default=1)
    table = np.full((len(specs), most), np.nan)
    for index, spec in enumerate(specs):
        table[index, : len(spec.choices)] = [choice.quality for choice in spec.choices]
    return table


def _tokens_per_tile(spec: Endpoint) -> float:
    """Return what a tile adds to the sequence of the language model."""
    return 0.0 if spec.vision is None else float(spec.vision.decoder_tokens)
