"""Outside air: hourly dry and wet bulb of a climate or an imported year."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from twin.chance import stream
from twin.clock import HOUR_S, Clock
from twin.sources import calibration, imported, imported_table

Floats = NDArray[np.float64]
# Days keep this much of the previous day's anomaly (warm and cold spells last two to four days).
_DAY_MEMORY = 0.6
_IMPORT: Final = re.compile(r"^import:([a-z0-9-]{1,40})$")
# What shapes the synthetic year and says nothing about an imported one.
_SYNTHETIC: Final = ("mean_c", "swing_c", "peak_hour", "day_noise_c", "hour_noise_c", "dew_point_c")


class Weather(BaseModel):
    """The climate outside. What is not given comes from the climate's month; ``outside_offset_c`` shifts everything ("+5 C outside").

    ``climate = "import:NAME"`` takes the hours of an imported year instead, and no other setting but the offset then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    climate: str = "virginia"
    mean_c: Annotated[float, Field(ge=-60, le=60)] | None = None
    swing_c: Annotated[float, Field(ge=0, le=40)] | None = None
    peak_hour: Annotated[float, Field(ge=0, lt=24)] = 15.5
    day_noise_c: Annotated[float, Field(ge=0, le=15)] | None = None
    hour_noise_c: Annotated[float, Field(ge=0, le=5)] = 0.3
    dew_point_c: Annotated[float, Field(ge=-60, le=60)] | None = None
    outside_offset_c: Annotated[float, Field(ge=-30, le=30)] = 0.0


@dataclass(frozen=True, slots=True)
class Series:
    """Hourly weather from ``begin_s`` (0 or up to an hour before the run): dry and wet bulb, shape hours + 1; linear in between."""

    outside_c: tuple[float, ...]
    wet_bulb_c: tuple[float, ...]
    begin_s: float = 0.0

    def at(self, t_s: float) -> tuple[float, float]:
        """Return dry and wet bulb at a time."""
        position = min(max((t_s - self.begin_s) / HOUR_S, 0.0), len(self.outside_c) - 1.0)
        index = min(int(position), len(self.outside_c) - 2)
        part = position - index
        dry, wet = self.outside_c, self.wet_bulb_c
        return dry[index] + part * (dry[index + 1] - dry[index]), wet[index] + part * (wet[index + 1] - wet[index])


def climates() -> tuple[str, ...]:
    """Return the climates that are known."""
    return tuple(calibration("plant")["climate"])


def import_name(settings: Weather) -> str | None:
    """Return the name of the imported year that a climate stands for, None for a synthetic one; ValueError for anything else.

    >>> import_name(Weather(climate="import:our-roof")), import_name(Weather())
    ('our-roof', None)
    """
    if settings.climate in climates():
        return None
    found = _IMPORT.match(settings.climate)
    if found is None:
        raise ValueError(f"plant.weather.climate: {settings.climate!r} is unknown; it is one of {', '.join(climates())}, or import:NAME")
    given = [name for name in _SYNTHETIC if getattr(settings, name) != Weather.model_fields[name].default]
    if given:
        raise ValueError(f"plant.weather.{given[0]}: says nothing about imported weather; leave it out, outside_offset_c shifts it")
    return found[1]


def generate(settings: Weather, clock: Clock, horizon_s: float, seed: int) -> Series:
    """Return a run's weather: the imported hours where the climate names an import, else drawn ones."""
    name = import_name(settings)
    return _drawn(settings, clock, horizon_s, seed) if name is None else recorded(name, settings.outside_offset_c, clock, horizon_s)


def recorded(name: str, outside_offset_c: float, clock: Clock, horizon_s: float) -> Series:
    """Return the hours of an imported year that a run passes through, by date and hour of the site's standard time.

    The year begins anew at its end. 29 February takes the hours of the 28th where the file has none. Dew points stay when the
    offset shifts the dry bulb: warmer air of the same vapour.
    """
    year = imported_table(imported("weather", name))
    hours = {
        (month, day, hour): (dry, dew)
        for month, day, hour, dry, dew in year.select("month", "day", "hour", "outside_c", "dew_point_c").iter_rows()
    }
    # Files count hours by their end and know no daylight saving; a run's clock keeps the offset of its start.
    start = clock.start.replace(tzinfo=None) - (clock.start.dst() or timedelta())
    first = start.replace(minute=0, second=0, microsecond=0)
    begin_s = -(start - first).total_seconds()
    values = []
    for step in range(int(np.ceil((horizon_s - begin_s) / HOUR_S)) + 2):
        # Midnight is the 24th hour of the day that it ends.
        ended = first + timedelta(hours=step - 1)
        month, day = ended.month, ended.day
        if (month, day) == (2, 29) and (2, 29, 1) not in hours:
            day = 28
        values.append(hours[month, day, ended.hour + 1])
    dry, dew = np.array(values).T
    outside = dry + outside_offset_c
    humidity = relative_humidity_share(outside, np.minimum(dew, outside))
    return Series(tuple(outside.tolist()), tuple(wet_bulb_c(outside, humidity).tolist()), begin_s)


def _drawn(settings: Weather, clock: Clock, horizon_s: float, seed: int) -> Series:
    """Draw a run's weather: a daily cosine about the month's mean, day-to-day spells and a little hourly noise."""
    month = calibration("plant")["climate"][settings.climate]
    index = clock.start.month - 1
    mean = month["mean_c"][index] if settings.mean_c is None else settings.mean_c
    swing = month["swing_c"][index] if settings.swing_c is None else settings.swing_c
    spread = month["spread_c"][index] if settings.day_noise_c is None else settings.day_noise_c
    dew_point = month["dew_point_c"][index] if settings.dew_point_c is None else settings.dew_point_c
    t_s = np.arange(int(np.ceil(horizon_s / HOUR_S)) + 2) * HOUR_S
    random = stream(seed, "plant", "weather")
    days = int(t_s[-1] // 86400.0) + 2
    spells = np.empty(days)
    for day, draw in enumerate(random.standard_normal(days)):
        spells[day] = draw if day == 0 else _DAY_MEMORY * spells[day - 1] + np.sqrt(1.0 - _DAY_MEMORY**2) * draw
    noise = random.standard_normal(len(t_s)) * settings.hour_noise_c
    hours = clock.hour(t_s)
    # Days are joined at midnight of the calendar, so that a spell does not begin in the middle of an afternoon.
    day_of = np.floor((t_s / HOUR_S + float(clock.hour(0.0))) / 24.0).astype(np.int64)
    between = np.interp(day_of + hours / 24.0, np.arange(days + 1) + 0.5, np.append(spells, spells[-1]))
    daily = 0.5 * swing * np.cos(2.0 * np.pi * (hours - settings.peak_hour) / 24.0)
    outside = mean + settings.outside_offset_c + spread * between + daily + noise
    humidity = relative_humidity_share(outside, np.minimum(dew_point + spread * between, outside))
    return Series(tuple(outside.tolist()), tuple(wet_bulb_c(outside, humidity).tolist()))


def relative_humidity_share(dry_bulb_c: Floats, dew_point_c: Floats) -> Floats:
    """Return relative humidity from dry bulb and dew point (Magnus formula)."""
    vapour = np.exp(17.625 * dew_point_c / (243.04 + dew_point_c))
    saturated = np.exp(17.625 * dry_bulb_c / (243.04 + dry_bulb_c))
    return np.asarray(np.clip(vapour / saturated, 0.05, 0.99))


def dew_point_of_c(dry_bulb_c: Floats, humidity_share: Floats) -> Floats:
    """Return the dew point from dry bulb and relative humidity (Magnus formula, the inverse of ``relative_humidity_share``)."""
    gamma = np.log(humidity_share) + 17.625 * dry_bulb_c / (243.04 + dry_bulb_c)
    return np.asarray(243.04 * gamma / (17.625 - gamma))


def wet_bulb_c(dry_bulb_c: Floats, humidity_share: Floats) -> Floats:
    """Return the wet bulb at sea level, within 1 C between 5 and 99 % humidity (Stull 2011, J. Appl. Meteor. Climatol. 50)."""
    rh, t = humidity_share * 100.0, dry_bulb_c
    return np.asarray(
        t * np.arctan(0.151977 * np.sqrt(rh + 8.313659))
        + np.arctan(t + rh)
        - np.arctan(rh - 1.676331)
        + 0.00391838 * rh**1.5 * np.arctan(0.023101 * rh)
        - 4.686035
    )
