"""Calendar: seconds of a run to local hours, and windows of hours."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOUR_S: Final = 3600.0
DAY_S: Final = 86400.0
_DAY_US: Final = 86_400_000_000
_TIME = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)$|^24:00$")


def hour_of(text: str) -> float:
    """Return the hour of a local clock time such as ``"13:30"``; ``"24:00"`` is the end of a day.

    >>> hour_of("13:30")
    13.5
    """
    if not _TIME.match(text):
        raise ValueError(f"{text!r} is not a clock time; write HH:MM between 00:00 and 24:00")
    hours, minutes = text.split(":")
    return int(hours) + int(minutes) / 60.0


@dataclass(frozen=True, slots=True)
class Window:
    """Local hours of some days; ``to_hour`` at or below ``from_hour`` runs overnight.

    Hours are None where only days were named. Days are indices, Monday is 0; an empty tuple means every day.
    An overnight window belongs to the day on which it begins.
    """

    from_hour: float | None = None
    to_hour: float | None = None
    days: tuple[int, ...] = ()

    @classmethod
    def of(cls, from_: str | None, to: str | None, days: tuple[str, ...] | list[str] | None = None) -> "Window":
        """Build a window from clock texts and day names (``mon`` to ``sun``)."""
        return cls(
            hour_of(from_) if from_ is not None else None,
            hour_of(to) if to is not None else None,
            tuple(DAYS.index(day) for day in days or ()),
        )


@dataclass(frozen=True, slots=True)
class Clock:
    """Turns ``t_s`` (seconds since an aware start) into the site's local calendar."""

    start: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None:
            raise ValueError("start has no time zone; add one, such as America/Phoenix")

    @classmethod
    def of(cls, start: datetime, timezone: str) -> "Clock":
        """Attach a named time zone to a local start."""
        return cls(start.replace(tzinfo=ZoneInfo(timezone)))

    def at(self, t_s: float) -> datetime:
        """Return the local date and time after ``t_s`` seconds of run."""
        return self.start + timedelta(seconds=float(t_s))

    def hour(self, t_s: NDArray[np.floating] | float) -> NDArray[np.float64]:
        """Return the local hour of day, 0 (inclusive) to 24 (exclusive)."""
        return (self._start_hour + np.asarray(t_s, dtype=np.float64) / HOUR_S) % 24.0

    def weekday(self, t_s: NDArray[np.floating] | float) -> NDArray[np.int64]:
        """Return the local day of the week, Monday is 0."""
        days = np.floor((self._start_hour + np.asarray(t_s, dtype=np.float64) / HOUR_S) / 24.0).astype(np.int64)
        return (self.start.weekday() + days) % 7

    def inside(self, t_s: NDArray[np.floating] | float, window: Window | None) -> NDArray[np.bool_]:
        """Return which times lie in the window (begin included, end excluded)."""
        times = np.asarray(t_s, dtype=np.float64)
        if window is None:
            return np.ones(times.shape, dtype=np.bool_)
        # Whole microseconds: 12:07 is the same time however it was come by.
        elapsed = np.rint((self._start_hour * HOUR_S + times) * 1e6).astype(np.int64)
        since_midnight, day = elapsed % _DAY_US, (self.start.weekday() + elapsed // _DAY_US) % 7
        begin = 0 if window.from_hour is None else round(window.from_hour * HOUR_S * 1e6)
        end = _DAY_US if window.to_hour is None else round(window.to_hour * HOUR_S * 1e6)
        if begin < end:
            hit = (since_midnight >= begin) & (since_midnight < end)
        else:
            hit = (since_midnight >= begin) | (since_midnight < end)
            day = np.where(since_midnight < end, (day - 1) % 7, day)
        if window.days:
            hit &= np.isin(day, window.days)
        return hit

    @property
    def _start_hour(self) -> float:
        return self.start.hour + self.start.minute / 60.0 + self.start.second / 3600.0 + self.start.microsecond / 3.6e9
