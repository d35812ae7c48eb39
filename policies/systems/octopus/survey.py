"""Every pod that could be built, priced and tried: also those beaten."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from policies.system import Option
from policies.systems.octopus import options
from policies.systems.octopus.knobs import OctopusKnobs
from policies.systems.octopus.options import Site
from twin.memory import designs
from twin.memory.designs import Design
from twin.memory.levers import TopologyObservation
from twin.memory.saving import BASELINES

Told = Callable[[float, str], None]
# What pods without Octopus look like: behind switches, of as many hosts as a switch of 32 ports leaves room for devices.
BESIDE: Final = ("switch-24x8n1-p32",)


@dataclass(frozen=True, slots=True)
class Survey:
    """All designs of the ports that can be had, whatever their limits: options with their figures, and those that cannot be built.

    ``against`` names the baseline of the options' saving, ``days`` how much past demand they were tried on, ``hosts`` the site's.
    """

    options: tuple[Option, ...]
    refused: Mapping[str, str]
    against: str
    against_words: str
    prices: str
    hosts: int
    days: float

    def told(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def survey(knobs: OctopusKnobs, seen: TopologyObservation, told: Told | None = None) -> Survey:
    """Return what every design comes to at a site. ``told`` hears how far it is (0..1) and the name of the design at hand.

    ``answer`` leaves out what is beaten for certain, and is what Octopus builds by; this is for people who compare.
    """
    site, hosts = Site.of(seen, knobs.headroom_share, knobs.migrate), len(seen.host_ids)
    able = feasible(knobs, hosts)
    found: list[Option] = []
    refused: dict[str, str] = {}
    for place, design in enumerate(able):
        if told is not None:
            told(place / len(able), f"{design.title}: cables, price, past demand")
        try:
            found.append(options.option(design, site))
        except ValueError as error:
            refused[design.name] = str(error)
    against = site.settings.saving_against
    days = site.past.span_s / 86400.0
    return Survey(tuple(found), refused, against, BASELINES[against], site.settings.prices, hosts, days)


def feasible(knobs: OctopusKnobs, hosts: int) -> Sequence[Design]:
    """Return every design of the ports that can be had on so many hosts, and the plain ones beside them."""
    most = min(hosts, designs.HOSTS_IN_THREE_RACKS)
    found = designs.feasible(knobs.host_ports_at_most, knobs.device_ports, 2, most) if most >= 2 else ()
    beside = [design for design in map(designs.parse, BESIDE) if design.hosts <= hosts and design.host_ports <= knobs.host_ports_at_most]
    return tuple(dict.fromkeys([*found, *beside]))
