"""A published number, the evidence that ours comes from, the verdict."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from statistics import median
from typing import Any, Final, Literal

import polars as pl

from twin.clock import Window
from twin.incidents.levers import Labelled
from twin.memory.levers import TopologyObservation
from twin.workloads.levers import PastPlant, PlantAtServers

VerdictWord = Literal["reproduced", "direction only", "not reproduced", "not comparable"]


@dataclass(frozen=True, slots=True)
class Objective:
    """What must hold for a size or a load to count, over all endpoints or those named."""

    metric: str
    op: Literal["<=", ">="]
    bound: float
    endpoints: tuple[str, ...] = ()

    def holds(self, value: float | None) -> bool:
        """Return whether a run's value meets the bound; a run without evidence does not."""
        return value is not None and (value <= self.bound if self.op == "<=" else value >= self.bound)


@dataclass(frozen=True, slots=True)
class Contender:
    """The policy sets of one label: a template, the settings of its knobs that are tried, and its sizes.

    A setting is ``system.knob`` -> value. The best try counts. ``sizes`` are settings too, ascending in what they cost; they
    are left out where nothing is sized. Of one that is not ``judged`` the number counts whether or not the objectives hold.
    """

    policy: Mapping[str, Any]
    tries: tuple[Mapping[str, Any], ...] = ({},)
    sizes: tuple[Mapping[str, Any], ...] = ()
    judged: bool = True


def steps(knob: str, values: Iterable[Any]) -> tuple[dict[str, Any], ...]:
    """Return the sizes that one knob gives.

    >>> steps("static_peak.instances", range(1, 3))
    ({'static_peak.instances': 1}, {'static_peak.instances': 2})
    """
    return tuple({knob: value} for value in values)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A value of the scenario over which a claim is repeated; ``own`` is the claim's own, fixed before tuning.

    ``settings`` gives what each value sets: places, as ``twin.variation.varied`` takes them, to values.
    """

    name: str
    own: float | str
    settings: Mapping[float | str, Mapping[str, Any]]


def over(name: str, own: float | str, place: str, values: Iterable[float | str]) -> Sweep:
    """Return a sweep that sets one place."""
    return Sweep(name, own, {value: {place: value} for value in values})


@dataclass(frozen=True, slots=True)
class Sizing:
    """The least of ``quantity`` (less what all contenders share, ``shared``) at which the objectives hold, over sizes and tries.

    ``most`` asks for the greatest instead, of sizes that are the harder the larger they are. ``window`` leaves the time out
    in which instances start. Sizes ``({},)`` ask for a contender as it stands: the best of its tries that holds.
    """

    objectives: tuple[Objective, ...]
    quantity: str = "serving.gpus_mean"
    shared: float = 0.0
    window: Window | None = None
    most: bool = False


@dataclass(frozen=True, slots=True)
class Capacity:
    """The highest load at which the objectives hold: ``scales``, ascending, times the rates at the places ``rates``."""

    objectives: tuple[Objective, ...]
    rates: tuple[str, ...]
    scales: tuple[float, ...]
    window: Window | None = None
    most: Literal[True] = True


@dataclass(frozen=True, slots=True)
class Measured:
    """A pure function of a stored run's tables, as ``read`` of a module, so that it can be sent to another process."""

    read: Callable[[Mapping[str, pl.LazyFrame]], float | None]
    most: Literal[False] = False


@dataclass(frozen=True, slots=True)
class Search:
    """Evidence that is looked for: the best of each contender at the claim's own point and over its sweeps.

    Ours is the value of ``ours`` over the best of ``against``: their ratio, the relative change, or, against nobody, the
    value itself. ``vary`` sets values of the scenario before anything else. Each contender has ``probes`` runs per point and
    seed at most, the same for all.
    """

    find: Sizing | Capacity | Measured
    contenders: Mapping[str, Contender]
    ours: str
    against: tuple[str, ...] = ()
    form: Literal["change", "ratio", "value"] = "change"
    sweeps: tuple[Sweep, ...] = ()
    vary: Mapping[str, Any] = field(default_factory=dict)
    probes: int = 24

    def compare(self, values: Mapping[str, float | None]) -> float | None:
        """Return ours of one seed from each label's value; None where one that is needed found none.

        >>> search = Search(Measured(lambda tables: None), {}, "new", ("old", "older"))
        >>> search.compare({"new": 4.0, "old": 8.0, "older": 10.0})
        -0.5
        """
        mine = values.get(self.ours)
        others = [value for label in self.against if (value := values.get(label)) is not None]
        if mine is None or (self.against and not others):
            return None
        if self.form == "value":
            return mine
        best = max(others) if self.find.most else min(others)
        if best <= 0.0:
            return None
        return mine / best - 1.0 if self.form == "change" else mine / best


@dataclass(frozen=True, slots=True)
class Learned:
    """What a system learns from the plant's readings of the weeks before a run: ``read`` is a pure function of them and the site."""

    read: Callable[[PastPlant, PlantAtServers], float | None]


@dataclass(frozen=True, slots=True)
class Computed:
    """What needs no run: a pure function of the hosts that a pod is chosen for and of what stood on them before the run.

    ``read`` gives labelled numbers, each label with its unit or what it is a share of; ours is the one called ``ours``, the
    others are shown beside it.
    """

    read: Callable[[TopologyObservation], Mapping[str, float | None]]
    ours: str


@dataclass(frozen=True, slots=True)
class Scored:
    """What labelled predictions on simulated incidents come to: a pure function of earlier ones, to learn from, and of later ones.

    The later ones are of other scenarios and began after every earlier label was known. ``read`` gives labelled numbers; ours is
    the one called ``ours``, the others are shown beside it.
    """

    read: Callable[[Sequence[Labelled], Sequence[Labelled]], Mapping[str, float | None]]
    ours: str


Evidence = Search | Learned | Computed | Scored
OWN: Final = "intentwin"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Ours beside the paper's."""

    ours: float | None
    word: VerdictWord
    why: str
    details: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """A published number, its set-up, and how ours is computed from runs.

    ``setup`` says in words what was fixed before tuning. ``paper_high`` is the other end where the paper gives a range.
    ``tolerance`` is the share of the paper's number within which ours counts as reproduced. ``no_effect`` is the value that
    would say that nothing happened: 0 of a change, 1 of a ratio, None where the number is a level and has no direction.
    ``explained`` says in words what in the twin makes ours differ from the paper's.

    A finding of our own stands under the source ``intentwin``: its ``paper`` is what we measured before, on other demand and with
    other code, and it is held to that in the same way.
    """

    id: str
    text: str
    metric: str
    paper: float
    unit: str
    source: str
    tolerance: float
    fitted_parameters: int
    setup: str
    scenario: str
    evidence: Evidence
    better: Literal["lower", "higher"] = "higher"
    seeds: tuple[int, ...] = (1, 2, 3)
    comparable: str = ""
    paper_high: float | None = None
    no_effect: float | None = 0.0
    explained: str = ""

    @property
    def policies(self) -> Mapping[str, Any]:
        """Return the policy set of each label, as the card writes it."""
        if not isinstance(self.evidence, Search):
            return {}
        return {label: contender.policy for label, contender in self.evidence.contenders.items()}

    @property
    def own(self) -> bool:
        """Return whether it is a finding of our own, held against our earlier measurement."""
        return self.source.partition(":")[0] == OWN

    @property
    def span(self) -> tuple[float, float]:
        """Return the paper's number from low to high; both ends are one where it gives no range."""
        ends = (self.paper, self.paper if self.paper_high is None else self.paper_high)
        return min(ends), max(ends)


NOTHING: Final = "the runs hold no evidence for it"


def judge(claim: Claim, ours: float | None) -> Verdict:
    """Hold our number against the paper's: inside the tolerance, right direction only, or neither."""
    if claim.comparable:
        return Verdict(ours, "not comparable", claim.comparable)
    if ours is None or not isfinite(ours):
        return Verdict(None, "not comparable", NOTHING)
    low, high = claim.span
    nearest = min(max(ours, low), high)
    gap, allowed = abs(ours - nearest), abs(nearest) * claim.tolerance
    whose = "our earlier" if claim.own else "the paper's"
    paper = f"{whose} {'number' if claim.paper_high is None else 'range'}"
    if claim.paper_high is not None and gap == 0.0:
        return Verdict(ours, "reproduced", f"inside {paper}")
    if gap <= allowed:
        return Verdict(ours, "reproduced", f"within {claim.tolerance:.0%} of {paper}")
    off = f"by {gap / (abs(nearest) or inf):.0%} of {paper}"
    none = claim.no_effect
    if none is None:
        return Verdict(ours, "not reproduced", f"{'more' if ours > nearest else 'less'} {off}")
    if (ours - none) * (nearest - none) > 0:
        size = "more" if abs(ours - none) > abs(nearest - none) else "less"
        return Verdict(ours, "direction only", f"same direction, {size} {off}")
    return Verdict(ours, "not reproduced", "the effect is absent or points the other way")


def middle(values: list[float | None]) -> float | None:
    """Return the median over seeds; None as soon as one seed found nothing, which a median would hide.

    >>> middle([3.0, 1.0, 2.0]), middle([1.0, None, 2.0])
    (2.0, None)
    """
    known = [value for value in values if value is not None]
    return median(known) if known and len(known) == len(values) else None
