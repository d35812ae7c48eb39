"""What an intent asks of one metric: its bound, with where and when."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twin.clock import Window
from twin.metrics import Scope
from twin.units import show, show_change

if TYPE_CHECKING:
    from policies.intent.model import Expectation, Intent, WindowSpec


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
        """Return whether a candidate's value keeps the bound, as the judge of intents says."""
        from policies.intent.judge import holds

        return holds(self.op, candidate, today + self.value * abs(today) if self.relative else self.value)

    def keeps(self, value: float) -> bool:
        """Return whether a value (or a change as a share, where the bound is relative) lies on the right side of the bound."""
        from policies.intent.judge import holds

        return holds(self.op, value, self.value)

    def standing(self, metric: str, today: float, candidate: float) -> str:
        """Return how the judge of intents calls one pair of values: met, at risk or broken."""
        from policies.intent.judge import bound_of, standing
        from policies.intent.model import Expectation

        wish = Expectation(metric=metric, op=self.op, value=self.value, relative=self.relative)
        return standing(wish, candidate, bound_of(wish, today))


def bounds_of(intent_id: str, intent: "Intent", scenario: Mapping[str, Any] | None = None) -> list[tuple[str, Bound]]:
    """Return what an intent asks, one bound per expectation, as metric and bound.

    A change that is not one against today (a pod's cost) is a bound by itself in the world of ``scenario``, as manifests hold it.
    """
    from policies.intent.references import settled_for

    held = intent if scenario is None else settled_for(intent, scenario)
    return [(wish.metric, _bound(intent_id, held, wish)) for wish in held.expectations]


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
        window_words="" if window is None else _window_words(window),
    )


def _window_words(window: "WindowSpec") -> str:
    """Return hours and days in a few signs, such as ``12:00–18:00 on weekdays``."""
    words = window.words()
    return words.replace(f"from {window.from_} to {window.to}", f"{window.from_}–{window.to}") if window.from_ else words
