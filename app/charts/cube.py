"""A day as bytes: values of every place and minute, a byte each."""

import base64
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

MISSING: Final = 255
HIGHEST: Final = 254


@dataclass(frozen=True, slots=True)
class Cube:
    """Codes of shape minutes x places. A value is ``low + code * step``; 255 stands for no value.

    ``limit_codes`` has one code per place: a value is over its limit exactly when its code is above it, whatever the rounding.
    """

    codes: NDArray[np.uint8]
    limit_codes: NDArray[np.uint8]
    low: float
    step: float

    def values(self) -> NDArray[np.float64]:
        """Return the values, exact within one step; not-a-number where there is none."""
        out = self.low + self.codes.astype(np.float64) * self.step
        out[self.codes == MISSING] = np.nan
        return out

    def over(self) -> NDArray[np.bool_]:
        """Return where the limit of the place is exceeded, without rounding error."""
        return (self.codes > self.limit_codes) & (self.codes != MISSING)


def encode(values: NDArray[np.floating], limits: NDArray[np.floating] | float, low: float, high: float) -> Cube:
    """Write values (minutes x places) as bytes over the fixed range ``low`` to ``high``; what lies outside takes the end's code.

    ``limits`` is one value or one per place; infinite where a place has none. Limits must lie inside the range.
    """
    if not high > low:
        raise ValueError(f"a scale from {low} to {high} has no length; give high above low")
    step = (high - low) / HIGHEST
    bounds = np.broadcast_to(np.asarray(limits, dtype=np.float64), values.shape[1:])
    finite = np.isfinite(bounds)
    if np.any(finite & ((bounds < low) | (bounds >= high - step))):
        raise ValueError(f"a limit lies outside the scale from {low} to {high}; widen the scale")
    limit_codes = np.where(finite, np.floor((np.where(finite, bounds, low) - low) / step + 1e-9), HIGHEST).astype(np.uint8)
    codes = np.clip(np.rint((np.nan_to_num(values, nan=low) - low) / step), 0, HIGHEST).astype(np.uint8)
    # Rounding must not hide a value that is over, nor accuse one that is not.
    over = values > bounds
    codes = np.where(over, np.maximum(codes, np.minimum(limit_codes + 1, HIGHEST)), np.minimum(codes, limit_codes)).astype(np.uint8)
    codes[np.isnan(values)] = MISSING
    return Cube(codes, limit_codes, low, step)


def pack(codes: NDArray[np.uint8]) -> str:
    """Return codes as text: differences from minute to minute, deflated (zlib), base64."""
    first = codes[:1]
    steps = np.concatenate([first, codes[1:] - codes[:-1]]) if len(codes) else codes
    return base64.b64encode(zlib.compress(np.ascontiguousarray(steps).tobytes(), 6)).decode("ascii")


def unpack(text: str, places: int) -> NDArray[np.uint8]:
    """Return codes (minutes x places) from ``pack``'s text; what the browser does."""
    steps = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8).reshape(-1, places)
    return np.cumsum(steps, axis=0, dtype=np.uint8)


def floats(values: NDArray[np.floating]) -> str:
    """Return numbers as base64 of little-endian 32-bit floats."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode("ascii")
