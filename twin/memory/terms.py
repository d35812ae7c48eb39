"""How much of a VM's memory is pooled, in slices."""

from dataclasses import dataclass

import numpy as np

from twin.memory.demand import Ints


@dataclass(frozen=True, slots=True)
class Terms:
    """How much of a VM may be pooled (0..1), and in slices of how many bytes."""

    pooled_share: float
    slice_bytes: int

    def slices(self, memory_bytes: Ints) -> Ints:
        """Return how many slices of each VM are pooled: whole ones, nearest to the share (half up), never more than the VM has.

        >>> Terms(0.5, 1 << 30).slices(np.array([3, 7, 14], dtype=np.int64) << 29).tolist()
        [1, 2, 4]
        """
        # A millionth of a slice more than a half, because shares such as 0.7 are a little less than they say.
        nearest = np.floor(self.pooled_share * (memory_bytes / self.slice_bytes) + 0.5 + 1e-6).astype(np.int64)
        return np.minimum(nearest, memory_bytes // self.slice_bytes)
