"""Lines of a comparison: a metric, its bound, paired values, the verdict."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from app.report.bounds import Bound, bounds_of
from app.report.pairing import Held, Worlds
from twin.clock import Window
from twin.metrics import METRICS, Scope
from twin.units import show

if TYPE_CHECKING:
    from policies.paired import Difference

__all__ = ["NOTICEABLE_SHARE", "Bound", "Judged", "Line", "Reader", "bounds_of", "change_words", "judge", "recommendation"]
# Below this part of today's value a change for the worse is not called a cost.
NOTICEABLE_SHARE: Final = 0.005
# run id, metric, scope, window -> value
Reader = Callable[[str, str, tuple[Scope, ...], Window | None], float | None]


@dataclass(frozen=True)
class Line:
    """One metric of a candidate beside today's policy, one value per shared seed on each side."""

    metric: str
    before: tuple[float, ...]
    after: tuple[float, ...]
    bound: Bound | None = None

    @cached_property
    def difference(self) -> "Difference":
        """Return the paired difference with its interval."""
        from policies.paired import paired

        return paired(self.before, self.after)

    @property
    def label(self) -> str:
        """Return the metric's label with the place and time of its bound."""
        place = self.bound.place_words if self.bound else ""
        return f"{METRICS[self.metric].label}, {place}" if place else METRICS[self.metric].label

    @property
    def there_today(self) -> bool:
        """Return whether today's policy has the metric at all: without a pod there are no hosts in one."""
        return not math.isnan(self.difference.a)

    @property
    def better(self) -> bool | None:
        """Return whether the change is for the better; None where the interval holds zero or nothing changed."""
        d = self.difference
        if d.difference == 0 or not self.there_today or (d.low is not None and d.high is not None and d.low <= 0.0 <= d.high):
            return None
        return (d.difference < 0) == (METRICS[self.metric].better == "lower")

    @property
    def share(self) -> float:
        """Return the change as a share of today's value; one where today's value is zero and it is not any more."""
        d = self.difference
        if not self.there_today:
            return 0.0
        return d.share if d.share is not None else float(d.difference != 0)

    @property
    def seeds_met(self) -> int:
        """Return under how many seeds the bound holds."""
        if self.bound is None:
            return len(self.after)
        return sum(self.bound.holds(a, b) for a, b in zip(self.before, self.after, strict=True))

    @property
    def state(self) -> str:
        """Return met, at risk or broken; empty without a bound.

        At risk: every seed holds, but one comes near the bound, or the interval over seeds reaches past it.
        """
        if self.bound is None:
            return ""
        if self.seeds_met < len(self.after):
            return "broken"
        near = any(self.bound.standing(self.metric, a, b) == "at risk" for a, b in zip(self.before, self.after, strict=True))
        return "at risk" if near or (self._edge is not None and not self.bound.keeps(self._edge)) else "met"

    @property
    def _edge(self) -> float | None:
        """Return the end of the 95 % interval that lies nearer to the bound, of the value or, where it is relative, of the change."""
        from policies.paired import paired

        if self.bound is None or len(self.after) < 2:
            return None
        pairs = zip(self.before, self.after, strict=True)
        judged = [(b - a) / abs(a) if a else 0.0 for a, b in pairs] if self.bound.relative else list(self.after)
        interval = paired([0.0] * len(judged), judged)
        return interval.high if self.bound.op == "<=" else interval.low

    @property
    def room_used_share(self) -> float | None:
        """Return which share of the room to the bound a change for the worse uses; None where it says nothing."""
        if self.bound is None or self.better is not False:
            return None
        room = self.bound.change(self.difference.a)
        return self.difference.difference / room if room else None


@dataclass(frozen=True)
class Judged:
    """One candidate: what was asked of it, everything else that is measured, and the sums that decide."""

    candidate: Held
    asked: tuple[Line, ...]
    others: tuple[Line, ...]
    seeds: tuple[int, ...]
    missing: tuple[str, ...] = field(default_factory=tuple)

    @property
    def lines(self) -> tuple[Line, ...]:
        """Return every line, what was asked first."""
        return (*self.asked, *self.others)

    @property
    def meets(self) -> bool:
        """Return whether every bound that must hold does, under every seed, with evidence for each."""
        return not self.missing and all(line.state != "broken" for line in self.asked if line.bound is not None and line.bound.must)

    @property
    def losses(self) -> tuple[Line, ...]:
        """Return what gets worse beyond doubt and by a noticeable part of today's value, the largest part first."""
        worse = [line for line in self.lines if line.better is False and abs(line.share) >= NOTICEABLE_SHARE]
        return tuple(sorted(worse, key=lambda line: (-abs(line.share), line.metric)))

    @property
    def rank(self) -> tuple[int, int, int, str]:
        """Order candidates: bounds kept, seeds that keep them, then as few losses as possible."""
        kept = sum(line.state != "broken" for line in self.asked) - len(self.missing)
        return -kept, -sum(line.seeds_met for line in self.asked), len(self.losses), self.candidate.policy_id


def judge(world: Worlds, candidate: Held, asked: Iterable[tuple[str, Bound]], read: Reader) -> Judged:
    """Hold a candidate against what was asked and against today's policy in everything that is measured."""
    seeds = world.seeds(candidate)
    assert world.today is not None or not seeds
    lines: list[Line] = []
    missing: list[str] = []
    for metric, bound in asked:
        line = _line(world.today.run_ids if world.today else {}, candidate.run_ids, seeds, metric, bound, read)
        if line is None:
            missing.append(metric)
        else:
            lines.append(line)
    plain = {line.metric for line in lines if line.bound is not None and not line.bound.place_words}
    others = [Line(name, before, after) for name, (before, after) in world.values(candidate).items() if name not in plain]
    return Judged(candidate, tuple(lines), tuple(others), seeds, tuple(missing))


def _line(
    today: Mapping[int, str], candidate: Mapping[int, str], seeds: Sequence[int], metric: str, bound: Bound, read: Reader
) -> Line | None:
    before = [read(today[seed], metric, bound.scope, bound.window) for seed in seeds]
    after = [read(candidate[seed], metric, bound.scope, bound.window) for seed in seeds]
    # What is not there today may be asked for all the same, where no change is bounded.
    needed = after if not bound.relative else [*before, *after]
    if not seeds or any(value is None for value in needed):
        return None
    shown = tuple(math.nan if v is None else float(v) for v in before)
    return Line(metric, shown, tuple(float(v) for v in after if v is not None), bound)


def changes_words(lines: Sequence[Line]) -> str:
    """Return several changes as one phrase; a place and time that they share is said once."""
    places = {line.bound.place_words if line.bound else "" for line in lines}
    shared = places.pop() if len(places) == 1 else ""
    if not shared:
        return ", ".join(change_words(line) for line in lines)
    return f"{', '.join(change_words(line, METRICS[line.metric].label) for line in lines)} ({shared})"


def change_words(line: Line, label: str = "") -> str:
    """Return a change as a phrase: ``hottest GPU 5.1 °C lower``; relative bounds are answered in per cent."""
    d, label = line.difference, label or line.label
    if not line.there_today:
        return f"{label} {show(d.b, line.metric)}"
    if d.difference == 0:
        return f"{label} unchanged"
    as_share = line.bound is not None and line.bound.relative and d.share is not None
    size = show(abs(d.share), "change_share") if as_share and d.share is not None else show(abs(d.difference), line.metric)
    return f"{label} {size} {'lower' if d.difference < 0 else 'higher'}"


def recommendation(judged: Sequence[Judged]) -> tuple[Judged | None, str]:
    """Return the candidate to roll out, None where none keeps what must hold, and one sentence that says why."""
    able = sorted((item for item in judged if item.seeds), key=lambda item: item.rank)
    if not able:
        return None, "No candidate shares a seed with today's policy yet; run both under the same seeds."
    best = able[0]
    count = f"{len(best.seeds)} seed" + ("s" if len(best.seeds) > 1 else "")
    if not best.asked and not best.missing:
        return None, "No intent says what is wanted, so nothing is recommended; the differences stand for themselves."
    if not best.meets:
        broken = [line.label for line in best.asked if line.state == "broken"] + [f"{METRICS[m].label} (no evidence)" for m in best.missing]
        return None, f"None keeps every bound: {best.candidate.name} comes nearest and breaks {_listed(broken)}."
    rivals = [item for item in able[1:] if item.meets]
    only = f"one of {len(rivals) + 1} that keep" if rivals else "the only one that keeps" if len(able) > 1 else "it keeps"
    why = f"{only} every bound on {count}"
    return best, f"{why[0].upper()}{why[1:]}. {cost_words(best)}"


def cost_words(judged: Judged) -> str:
    """Return what a candidate costs elsewhere; a recommendation without it would be half of one."""
    losses = judged.losses
    if not losses:
        return f"Nothing that is measured gets worse by more than {show(NOTICEABLE_SHARE, 'change_share')}."
    return f"It costs: {_listed([change_words(line) for line in losses[:4]])}" + (
        f", and {len(losses) - 4} more." if len(losses) > 4 else "."
    )


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
