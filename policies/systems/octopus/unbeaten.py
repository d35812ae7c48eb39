"""Which pods none beats, in cost, hosts and saving."""

from collections.abc import Mapping
from typing import Any, Final

from policies.systems.octopus.limits import COST, HOSTS, SAVING

# A detail and no metric: what is saved of the DRAM of all hosts. Those that fill no whole pod save nothing.
SITE_SAVING: Final = "site_saving_share"
Figures = Mapping[str, float]


def figures(metrics: Mapping[str, Any], details: Mapping[str, Any]) -> Figures:
    """Return what an option is compared by: its metrics, and what it saves on the site."""
    return {**metrics, SITE_SAVING: details[SITE_SAVING]}


def beats(one: Figures, other: Figures) -> bool:
    """Return whether one is nowhere worse than another in cost, hosts, saving in its pods and on the site, and somewhere better.

    >>> small = {COST: 900.0, HOSTS: 16.0, SAVING: 0.06, SITE_SAVING: 0.06}
    >>> beats(small, {**small, COST: 950.0}), beats(small, {**small, COST: 950.0, HOSTS: 25.0}), beats(small, small)
    (True, False, False)
    """
    mine, its = ((values[SAVING], values[SITE_SAVING], values[HOSTS], -values[COST]) for values in (one, other))
    return all(a >= b for a, b in zip(mine, its, strict=True)) and mine != its
