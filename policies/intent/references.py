"""What a change is held against where that is not today's policy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from twin.memory.settings import Settings
from twin.units import show

if TYPE_CHECKING:
    from policies.intent.model import Intent

POD_COST: Final = "memory.cost_usd_per_host"
# The plain pod that others are held against: every host is cabled to every device, eight ports on either side.
PLAIN_HOSTS: Final = 8
PLAIN_PORTS: Final = 8
# Metric -> what a change of it is a change of. Today there may be no pod at all, and nothing is no measure of a cost.
AGAINST: Final[Mapping[str, str]] = {POD_COST: f"the fully connected pod of {PLAIN_HOSTS} hosts"}


@dataclass(frozen=True, slots=True)
class Reference:
    """The value that a change is taken of, in the metric's unit, and what it is, in words."""

    metric: str
    value: float
    words: str

    @property
    def said(self) -> str:
        """Return what it is, with its value."""
        return f"{self.words}, {show(self.value, self.metric)}"


References = Callable[[str], Reference | None]


def against(metric: str) -> str:
    """Return what a change of a metric is held against, in words.

    >>> against("memory.cost_usd_per_host"), against("serving.cost_usd_per_h")
    ('the fully connected pod of 8 hosts', 'today')
    """
    return AGAINST.get(metric, "today")


def no_reference(metric: str) -> Reference | None:
    """Return that nothing is known of a site's own references."""
    del metric
    return None


def references(memory: Settings | Mapping[str, Any] | None) -> References:
    """Return what looks a site's references up, by how it pools memory; worked out when first asked for.

    A metric whose changes are against today has none; neither has one whose site cannot price it (``unpriced`` says why).
    """
    settings = _settings(memory)

    def look(metric: str) -> Reference | None:
        if metric != POD_COST:
            return None
        try:
            return Reference(metric, plain_pod_usd_per_host(settings.prices, settings.cable_slack_m), AGAINST[metric])
        except ValueError:
            return None

    return look


def unpriced(memory: Settings | Mapping[str, Any] | None) -> str:
    """Return why a site's plain pod has no price, empty where it has one."""
    settings = _settings(memory)
    try:
        plain_pod_usd_per_host(settings.prices, settings.cable_slack_m)
    except ValueError as error:
        return str(error)
    return ""


def settled(intent: "Intent", look: References) -> "Intent":
    """Return an intent whose changes against a reference are bounds by themselves; changes against today stay as they are."""
    if not any(wish.relative and wish.metric in AGAINST for wish in intent.expectations):
        return intent
    wishes = []
    for wish in intent.expectations:
        found = look(wish.metric) if wish.relative else None
        value = None if found is None else found.value * (1.0 + wish.value)
        wishes.append(wish if value is None else wish.model_copy(update={"value": value, "relative": False}))
    return intent.model_copy(update={"expectations": tuple(wishes)})


def settled_for(intent: "Intent", scenario: Mapping[str, Any]) -> "Intent":
    """Return an intent settled by a scenario as a run's manifest holds it."""
    return settled(intent, references(scenario.get("memory")))


@cache
def plain_pod_usd_per_host(prices: str, slack_m: float) -> float:
    """Return what the plain pod costs per host, laid out in racks: devices and cables. Raises ValueError where it has no price."""
    # Imported here: words are read without any physics.
    from twin.memory import cost, designs, wiring
    from twin.memory import prices as tables

    pod = designs.check("fully_connected", PLAIN_HOSTS, PLAIN_PORTS, PLAIN_HOSTS).build()
    return float(cost.cost_of(pod, tables.table(prices), wiring.lay(pod, slack_m)).per_host_usd)


def _settings(memory: Settings | Mapping[str, Any] | None) -> Settings:
    return memory if isinstance(memory, Settings) else Settings.model_validate(dict(memory or {}))
