"""One pod filled in several ways: what each way saves, and what it moves."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, get_args

from policies.systems.octopus.options import Site
from twin.memory import planning, saving, sizing
from twin.memory.pods import Pod

HEADROOMS: Final = (0.0, 0.02, 0.05, 0.1)
Told = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Filling:
    """What one way came to on past demand. Shares are by baseline of the saving, in the order of ``saving.Baseline``.

    ``headroom_share`` None: devices as large as the fullest one has been. ``of_ideal_share`` is of what devices that are always
    filled evenly would save of the pooled part; None where that is nothing.
    """

    migrate: bool
    headroom_share: float | None
    of_ideal_share: dict[str, float | None]
    saved_share: dict[str, float]
    ideal_saved_share: dict[str, float]
    moved_bytes_per_day: float
    overflows_per_day: float

    def told(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def compare(pod: Pod, site: Site, headrooms: Sequence[float] = HEADROOMS, told: Told | None = None) -> list[Filling]:
    """Return least loaded filling without a limit, then at each headroom without and with moving on overflow.

    ``told`` hears how far it is (0..1) and what is at hand.
    """
    ways: list[tuple[bool, float | None]] = [(False, None)]
    ways += [(migrate, headroom_share) for migrate in (False, True) for headroom_share in headrooms]
    found = []
    for place, (migrate, headroom_share) in enumerate(ways):
        if told is not None:
            told(place / len(ways), _words(migrate, headroom_share))
        found.append(_filling(pod, site, migrate, headroom_share))
    return found


def _filling(pod: Pod, site: Site, migrate: bool, headroom_share: float | None) -> Filling:
    from policies.baselines import pickers  # compiles its rules when it is loaded

    size = None if headroom_share is None else sizing.pod_slices(pod, site.past, site.terms, headroom_share)
    done = planning.replay(pod, site.past, site.terms, pickers.least_loaded, migrate, size)
    each = {against: saving.saving(done, against) for against in get_args(saving.Baseline)}
    return Filling(
        migrate=migrate,
        headroom_share=headroom_share,
        of_ideal_share={name: one.of_ideal if one.ideal_pooled_share > 0 else None for name, one in each.items()},
        saved_share={name: one.total_share for name, one in each.items()},
        ideal_saved_share={name: one.ideal_total_share for name, one in each.items()},
        moved_bytes_per_day=float(done.migrated_slices.sum()) * site.terms.slice_bytes / done.days,
        overflows_per_day=float(done.overflow_events.sum()) / done.days,
    )


def _words(migrate: bool, headroom_share: float | None) -> str:
    if headroom_share is None:
        return "least loaded, devices as large as it takes"
    return f"{'moved on overflow' if migrate else 'least loaded, never moved'}, {100 * headroom_share:g} % headroom"
