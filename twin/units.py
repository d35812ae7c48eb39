"""Units: the one used inside for each quantity, and text in and out."""

import math
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pint

# The suffix of a name says its unit; the value is the unit as pint spells it.
UNIT_OF_SUFFIX: Final = {
    "_per_s": "1/s",
    "_usd_per_h": "usd/hour",
    "_usd_per_million_tokens": "usd/Mtoken",
    "_usd_per_host": "usd",
    "_usd_per_job": "usd",
    "_j_per_job": "J",
    "_s": "s",
    "_w": "W",
    "_c": "degC",
    "_j": "J",
    "_bytes": "byte",
    "_tokens": "token",
    "_usd": "usd",
    "_kg": "kg",
    "_l": "l",
    "_hz": "Hz",
    "_m": "m",
    "_share": "",
}
_SHOWN: Final = {"_s": "s", "_w": "W", "_j": "J", "_j_per_job": "J", "_bytes": "B", "_hz": "Hz", "_m": "m", "_per_s": "/s"}
_LARGE: Final = {"_kg": "t", "_l": "m³"}
_PREFIXES: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
_QUANTITY: Final = re.compile(r"^\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S.*?)?\s*$")
NARROW_SPACE: Final = "\u00a0"
MINUS: Final = "\u2212"


@cache
def registry() -> "pint.UnitRegistry[Any]":
    """Return the unit registry, with money and tokens; imported late because it is slow to build."""
    import pint

    units: pint.UnitRegistry[Any] = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    units.define("usd = [money] = USD")
    units.define("token = [token] = tokens")
    return units


def suffix_of(name: str) -> str:
    """Return the unit suffix of a name, longest match first; empty for counts and keys.

    >>> suffix_of("plant.row_power_peak_w"), suffix_of("plant.thermal_throttle_events")
    ('_w', '')
    """
    for suffix in sorted(UNIT_OF_SUFFIX, key=len, reverse=True):
        if ("_" + name).endswith(suffix):
            return suffix
    return ""


def parse(text: str | float, suffix: str, difference: bool = False) -> float:
    """Read ``"80 C"``, ``"176 °F"`` or ``"285 kW"`` into the unit of a suffix.

    A bare number is taken to be in that unit already; ``difference`` says that degrees count from another temperature and
    not from a scale's zero. Raises ValueError that names both units.

    >>> parse("176 degF", "_c"), parse("250 ms", "_s"), parse("40 %", "_share")
    (80.0, 0.25, 0.4)
    >>> parse("9 F", "_c", difference=True)
    5.0
    """
    if isinstance(text, int | float):
        return float(text)
    match = _QUANTITY.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a number with a unit; write for example '80 C' or '250 ms'")
    number, unit = float(match[1]), (match[2] or "").strip()
    if not unit:
        return number
    if suffix == "_share":
        if unit not in {"%", "percent"}:
            raise ValueError(f"{text!r} is not a share; write a number from 0 to 1 or a percentage")
        return number / 100.0
    if suffix not in UNIT_OF_SUFFIX:
        raise ValueError(f"{text!r} has a unit where a plain count is expected; leave {unit!r} out")
    import pint

    target = UNIT_OF_SUFFIX[suffix]
    spelled = {"C": "degC", "°C": "degC", "F": "degF", "°F": "degF", "K": "kelvin"}.get(unit, unit)
    if difference and target == "degC":
        target, spelled = "delta_degC", {"degC": "delta_degC", "degF": "delta_degF"}.get(spelled, spelled)
    try:
        value = registry().Quantity(number, spelled).to(target).magnitude
    except (pint.errors.PintError, AttributeError, AssertionError) as error:
        raise ValueError(f"{text!r} cannot be read as {target}; write the value in {target}") from error
    return round(float(value), 9)


def _three_digits(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "–"
    decimals = max(0, 2 - math.floor(math.log10(abs(value)) + 1e-12))
    text = f"{value:.{decimals}f}" if decimals <= 6 else f"{value:.2e}"
    return text.replace("-", MINUS)


def split(value: float | None, name: str) -> tuple[str, str]:
    """Return the shown number (three significant digits) and its unit apart.

    >>> split(281_250.0, "plant.row_power_peak_w"), split(-0.214, "x_share")
    (('281', 'kW'), ('−21.4', '%'))
    """
    suffix = suffix_of(name)
    if value is None or math.isnan(value):
        return "–", ""
    if suffix == "_share":
        return _three_digits(value * 100.0), "%"
    if suffix == "_c":
        # One decimal: operators compare temperatures with limits, not with zero.
        return f"{value:.1f}".replace("-", MINUS), "°C"
    if suffix in {"_j", "_j_per_job"} and abs(value) >= 3.6e6:
        return split_prefixed(value / 3600.0, "Wh")
    if suffix in {"_s"} and abs(value) >= 60.0:
        minutes = value / 60.0
        return (_three_digits(minutes), "min") if abs(minutes) < 60 else (_three_digits(minutes / 60.0), "h")
    if suffix in _SHOWN:
        return split_prefixed(value, _SHOWN[suffix])
    if suffix in _LARGE and abs(value) >= 1e3:
        return split_prefixed(value / 1e3, _LARGE[suffix])
    shown = {
        "_usd_per_h": "USD/h", "_usd": "USD", "_usd_per_host": "USD", "_usd_per_job": "USD", "_usd_per_million_tokens": "USD/Mtok",
        "_kg": "kg", "_l": "L",
    }  # fmt: skip
    if abs(value) >= 1e4:
        number, unit = split_prefixed(value, shown.get(suffix, ""))
        return number, unit
    if suffix == "" and float(value).is_integer():
        return f"{value:,.0f}".replace(",", NARROW_SPACE).replace("-", MINUS), ""
    return _three_digits(value), shown.get(suffix, "tokens" if suffix == "_tokens" else "")


def split_prefixed(value: float, unit: str) -> tuple[str, str]:
    """Return number and unit with the SI prefix that leaves one to three digits before the point."""
    if value == 0:
        return "0", unit
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor * 0.9995:
            text = _three_digits(value / factor)
            return text, f"{prefix}{' ' if unit.startswith('USD') and prefix else ''}{unit}"
    factor, prefix = _PREFIXES[-1]
    return _three_digits(value / factor), f"{prefix}{unit}"


def show(value: float | None, name: str) -> str:
    """Return a value as an operator reads it, by the unit in the metric's or column's name.

    >>> show(0.0875, "serving.ttft_p99_s"), show(88.4, "plant.gpu_temp_max_c")
    ('87.5\\xa0ms', '88.4\\xa0°C')
    """
    number, unit = split(value, name)
    return f"{number}{NARROW_SPACE}{unit}" if unit else number


def show_change(value: float | None, name: str) -> str:
    """Return a difference with its sign always written, zero without one."""
    if value is not None and value > 0:
        return "+" + show(value, name)
    return show(value, name)
