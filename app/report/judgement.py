"""Lines of a comparison: a metric, its bound, paired values, the verdict."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from app.report.pairing import Held, Worlds
from twin.clock import Window
from twin.metrics import METRICS, Scope
from twin.units import show, show_change

if TYPE_CHECKING:
    from policies.intent.model import Expectation, Intent
    from policies.paired import Difference

# Below this part of today's value a change for the worse is not called a cost.
NOTICEABLE_SHARE: Final = 0.005
# run id, metric, scope, window -> value
Reader = Callable[[str, str, tuple[Scope, ...], Window | None], float | None]


@dataclass(frozen=True, slots=True)
class Bound:
    """What an intent asks of one metric, with where and when."""

    intent_id: str
    op: str
    value: float
    relative: bool
    must: bool
    scope: tuple[Scope, ...] = ()
    window: Window | None = None
    window_words: str = ""

    @property
    def place_words(self) -> str:
        """Return where and when it holds, empty for everywhere and always."""
        where = ", ".join(scope.id for scope in self.scope[:3]) + (f" and {len(self.scope) - 3} more" if len(self.scope) > 3 else "")
        return ", ".join(part for part in (where, self.window_words) if part)

    def words(self, metric: str) -> str:
        """Return the bound as a table writes it, such as ``≤ 80.0 °C`` or ``≤ −20.0 %``."""
        sign = "≤" if self.op == "<=" else "≥"
        if not self.relative:
            return f"{sign} {show(self.value, metric)}"
        return f"{sign} {show_change(self.value, 'change_share')}" if self.value else f"{sign} today"

    def change(self, today: float) -> float:
        """Return the bound as a change against today's value, in the metric's unit."""
        return self.value * abs(today) if self.relative else self.value - today

    def holds(self, today: float, candidate: float) -> bool:
        """Return whether a candidate's value keeps the bound; a rounding error of a billionth is forgiven."""
        limit = today + self.value * abs(today) if self.relative else self.value
        return _within(candidate, self.op, limit)

    def keeps(self, value: float) -> bool:
        """Return whether a value (or a change as a share, where the bound is relative) lies on the right side of the bound."""
        return _within(value, self.op, self.value)


def _within(value: float, op: str, limit: float) -> bool:
    slack = 1e-9 * max(abs(limit), abs(value))
    return value <= limit + slack if op == "<=" else value >= limit - slack


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
    def better(self) -> bool | None:
        """Return whether the change is for the better; None where the interval holds zero or nothing changed."""
        d = self.difference
        if d.difference == 0 or (d.low is not None and d.high is not None and d.low <= 0.0 <= d.high):
            return None
        return (d.difference < 0) == (METRICS[self.metric].better == "lower")

    @property
    def share(self) -> float:
        """Return the change as a share of today's value; one where today's value is zero and it is not any more."""
        d = self.difference
        return d.share if d.share is not None else float(d.difference != 0)

    @property
    def seeds_met(self) -> int:
        """Return under how many seeds the bound holds."""
        if self.bound is None:
            return len(self.after)
        return sum(self.bound.holds(a, b) for a, b in zip(self.before, self.after, strict=True))

    @property
    def state(self) -> str:
        """Return met, at risk (every seed holds, the interval reaches past the bound) or broken; empty without a bound."""
        if self.bound is None:
            return ""
        if self.seeds_met < len(self.after):
            return "broken"
        return "met" if self._edge is None or self.bound.keeps(self._edge) else "at risk"

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


def bounds_of(intent_id: str, intent: "Intent") -> list[tuple[str, Bound]]:
    """Return what an intent asks, one bound per expectation, as metric and bound."""
    return [(wish.metric, _bound(intent_id, intent, wish)) for wish in intent.expectations]


def _bound(intent_id: str, intent: "Intent", wish: "Expectation") -> Bound:
    window = intent.window_of(wish)
    return Bound(
        intent_id=intent_id,
        op=wish.op,
        value=wish.value,
        relative=wish.relative,
        must=wish.strength == "must",
        scope=intent.scope_of(wish),
        window=None if window is None else window.window(),
        window_words="" if window is None else window.words(),
    )


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
    if not seeds or any(value is None for value in (*before, *after)):
        return None
    return Line(metric, tuple(float(v) for v in before if v is not None), tuple(float(v) for v in after if v is not None), bound)


def change_words(line: Line) -> str:
    """Return a change as a phrase: ``hottest GPU 5.1 °C lower``; relative bounds are answered in per cent."""
    d = line.difference
    if d.difference == 0:
        return f"{line.label} unchanged"
    as_share = line.bound is not None and line.bound.relative and d.share is not None
    size = show(abs(d.share), "change_share") if as_share and d.share is not None else show(abs(d.difference), line.metric)
    return f"{line.label} {size} {'lower' if d.difference < 0 else 'higher'}"


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
