"""An endpoint of a vision model on four servers, and a plain world that does at once what its holder wants."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from policies.systems.modserve.policy import ModServe
from twin.serving import images
from twin.serving.latency import OVERHEAD_S, profile
from twin.serving.levers import OFF, ON, Finished, ServingObservation

MODEL = "internvl-2.5-26b"
WIDTHS = (4, 1, 2, 8)
SERVERS = 4


def slots() -> dict[str, Any]:
    """Every slot of four H100 servers: those of four GPUs, as configured, first."""
    rows = [(server, server * 8 + place * width, width) for width in WIDTHS for server in range(SERVERS) for place in range(8 // width)]
    server, first_gpu, gpus = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    latency = {width: np.array(profile("h100", "vllm", MODEL, width).coefficients) for width in WIDTHS}
    for row in latency.values():
        row[OVERHEAD_S] = 0.003
    vision = images.vision(MODEL)
    n = len(gpus)
    none = np.zeros(n, dtype=np.int64)
    return {
        "instance_endpoint": none,
        "instance_server": server,
        "instance_row": server // 2,
        "instance_first_gpu": first_gpu,
        "instance_gpus": gpus,
        "configured": gpus == 4,
        "latency": np.stack([latency[int(width)] for width in gpus]),
        "encode_s": np.array([images.encode_s(vision, "h100", int(width)) for width in gpus]),
        "instance_usd_per_h": 2.5 * gpus,
        "state": np.where(gpus == 4, ON, OFF),
        "role": none,
        "max_batch": np.full(n, 256),
        "configured_max_batch": np.full(n, 256),
        "outstanding": none,
        "queued": none,
        "pending_tokens": none,
        "pending_tiles": none,
        "endpoint_tokens_per_tile": np.array([256.0]),
    }


def requests(count: int, prompt_tokens: int = 2000, tiles: int = 7, output_tokens: int = 150) -> Finished:
    """Return finished requests; every other one has images."""
    some = np.arange(count) % 2
    none = np.zeros(count, dtype=np.int64)
    same = {"output_tokens": np.full(count, output_tokens), "ttft_s": np.full(count, 0.5), "atgt_s": np.full(count, 0.02)}
    return Finished(endpoint=none, instance=none, prompt_tokens=np.full(count, prompt_tokens), tiles=some * tiles, **same)


class World:
    """Asks a holder window by window and lets instances be at once what they are wanted to be."""

    def __init__(self, holder: ModServe, seen: Callable[..., ServingObservation]) -> None:
        self.holder, self._seen, self._slots = holder, seen, slots()
        self.t_s, self.turns = 0.0, 0
        self.wanted, self.role = self._slots["configured"], self._slots["role"]

    def window(self, tiles: float, prompt: float, **changes: Any) -> None:
        """Let a minute pass with these tiles and prompt tokens per second."""
        rates = {
            "endpoint_tiles_per_s": np.array([tiles]),
            "endpoint_prompt_tokens_per_s": np.array([prompt]),
            "endpoint_output_tokens_per_s": np.array([prompt * 0.075]),
            "endpoint_arrivals_per_s": np.zeros(1),
            "endpoint_overflows": np.zeros(1, dtype=np.int64),
            "endpoint_image_arrivals_per_s": np.zeros(1),
            "finished": lambda: requests(40 if tiles else 0),
        }
        now = {"t_s": self.t_s, "state": np.where(self.wanted, ON, OFF), "role": self.role}
        seen = self._seen(**{**self._slots, **rates, **now, **changes})
        before = self.role[self.wanted].copy(), self.wanted
        # Roles are laid before instances are counted.
        self.role, self.wanted = self.holder.lay(seen).role, self.holder.scale(seen).wanted
        self.turns += int((self.wanted != before[1]).any() or (self.role[before[1]] != before[0]).any())
        self.t_s += seen.window_s

    def minutes(self, count: int, tiles: float, prompt: float, **changes: Any) -> None:
        """Let windows pass alike."""
        for _ in range(count):
            self.window(tiles, prompt, **changes)

    def instances(self, role: int) -> int:
        """Return how many instances of a role are wanted."""
        return int((self.role[self.wanted] == role).sum())

    def widths(self, role: int) -> set[int]:
        """Return the GPUs per instance of a role."""
        return set(self._slots["instance_gpus"][self.wanted & (self.role == role)].tolist())

    def servers(self, role: int) -> set[int]:
        """Return the servers of a role."""
        return set(self._slots["instance_server"][self.wanted & (self.role == role)].tolist())

    @property
    def gpus(self) -> int:
        """Return the GPUs that are wanted."""
        return int(self._slots["instance_gpus"][self.wanted].sum())

    @property
    def twice(self) -> bool:
        """Return whether a GPU is wanted by two slots."""
        covered = np.zeros(SERVERS * 8, dtype=np.int64)
        for slot in np.flatnonzero(self.wanted):
            first = int(self._slots["instance_first_gpu"][slot])
            covered[first : first + int(self._slots["instance_gpus"][slot])] += 1
        return bool((covered > 1).any())

    @property
    def slots(self) -> dict[str, Any]:
        """Return what is the same in every window; a test may change it."""
        return self._slots


@pytest.fixture(scope="session")
def world(around: Any, serving_seen: Callable[..., ServingObservation]) -> Callable[..., World]:
    """Start a world under ModServe with some knobs; its stages part even where whole instances would do with fewer GPUs."""
    from policies.systems.modserve.knobs import ModServeKnobs

    return lambda **knobs: World(ModServe(ModServeKnobs(**{"whole_where_fewer": False, **knobs}), around), serving_seen)
