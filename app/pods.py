"""The pod under design: what the URL asks for, what can be built of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from app import state
from twin.memory import blocks, designs
from twin.memory.designs import KINDS, Design
from twin.memory.pods import Pod, PodKind
from twin.memory.settings import Settings

_ASK: Final = re.compile(
    r"^(?P<kind>[a-z]+(-[a-z]+)?)-(?P<hosts>\d{1,4})x(?P<host>\d{1,3})n(?P<device>\d{1,3})"
    r"(-i(?P<i>\d{1,2}))?(-p(?P<p>\d{1,3}))?$"
)
HOSTS_AT_MOST: Final = designs.HOSTS_IN_THREE_RACKS


@dataclass(frozen=True, slots=True)
class Ask:
    """A pod as an operator asks for it, whether it can be built or not: counts of hosts, ports, islands, and ports of a switch."""

    kind: PodKind
    hosts: int
    host_ports: int
    device_ports: int
    islands: int = 1
    switch_ports: int = designs.SWITCH_PORTS

    @property
    def text(self) -> str:
        """Return the ask as the URL carries it.

        >>> Ask("islands", 96, 8, 4, 6).text
        'islands-96x8n4-i6'
        """
        kind = self.kind.replace("_", "-")
        suffix = f"-i{self.islands}" if self.kind == "islands" else f"-p{self.switch_ports}" if self.kind == "switch" else ""
        return f"{kind}-{self.hosts}x{self.host_ports}n{self.device_ports}{suffix}"

    @property
    def inside_ports(self) -> int:
        """Return how many ports of a host stay in its island."""
        return blocks.host_ports_of(self.hosts // max(self.islands, 1), max(self.device_ports, 2))


def of(design: Design) -> Ask:
    """Return a design as it is asked for."""
    counts = (design.kind, design.hosts, design.host_ports, design.device_ports)
    return Ask(*counts, design.islands or 1, design.switch_ports or designs.SWITCH_PORTS)


FIRST: Final = Ask("islands", 96, 8, 4, 6)
# What a kind begins with when somebody turns to it.
OF_KIND: Final[Mapping[PodKind, Ask]] = {
    "islands": FIRST,
    "block_design": Ask("block_design", 25, 8, 4),
    "biregular": Ask("biregular", 96, 8, 4),
    "fully_connected": Ask("fully_connected", 8, 8, 8),
    "complete": Ask("complete", 9, 8, 2),
    "switch": Ask("switch", 24, 8, 1),
}


@dataclass(frozen=True, slots=True)
class Draft:
    """What the Memory page is about: the pod that is asked for, its cables' slack, the pooled share, prices, a host, what is lost."""

    ask: Ask
    slack_m: float
    pooled_share: float
    prices: str
    host: int
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What an ask comes to: a design and its pod, or why there is none and which designs come nearest."""

    ask: Ask
    design: Design | None
    pod: Pod | None
    why: str = ""
    nearest: tuple[Design, ...] = ()


def parse(text: str) -> Ask | None:
    """Return what a link asks for; None where it cannot be read.

    >>> parse("block-design-25x8n4")
    Ask(kind='block_design', hosts=25, host_ports=8, device_ports=4, islands=1, switch_ports=32)
    """
    try:
        return of(designs.parse(text))
    except ValueError:
        pass  # what cannot be built can be asked for all the same: the page says why not
    found = _ASK.match(text)
    kind = next((name for name in KINDS if found and name == found["kind"].replace("-", "_")), None)
    if found is None or kind is None:
        return None
    counts = (int(found["hosts"]), int(found["host"]), int(found["device"]))
    return Ask(kind, *counts, int(found["i"] or 1), int(found["p"] or designs.SWITCH_PORTS))


def draft(settings: Settings, first: Ask = FIRST) -> Draft:
    """Return what the session drafts, from the URL where a link was opened; ``first`` where nobody has asked for a pod."""
    kept: Mapping[str, str] = state.drafted()
    host = int(kept.get("host", "1")) if kept.get("host", "1").isdigit() else 1
    return Draft(
        ask=parse(kept.get("pod", "")) or first,
        slack_m=_within(kept.get("slack"), settings.cable_slack_m),
        pooled_share=_within(kept.get("pooled"), settings.pooled_share),
        prices=kept.get("prices") or settings.prices,
        host=max(host, 1) - 1,
        lost=tuple(name for name in kept.get("lost", "").split(" ") if name),
    )


def _within(text: str | None, otherwise: float) -> float:
    try:
        return min(max(float(text), 0.0), 1.0) if text is not None else otherwise
    except ValueError:
        return otherwise


def ask(wanted: Ask) -> None:
    """Draft another pod; what was looked at and lost in the former one is let go."""
    state.set_draft(pod=settled(wanted).text, host=None, lost=None)


def settled(wanted: Ask) -> Ask:
    """Return an ask with the counts that follow from the others."""
    match wanted.kind:
        case "block_design":
            return replace(wanted, host_ports=max(blocks.host_ports_of(wanted.hosts, max(wanted.device_ports, 2)), 1))
        case "fully_connected":
            return replace(wanted, device_ports=wanted.hosts)
        case "complete":
            return replace(wanted, host_ports=wanted.hosts - 1, device_ports=2)
        case "switch":
            return replace(wanted, device_ports=1)
        case _:
            return wanted


@lru_cache(maxsize=256)
def find(wanted: Ask) -> Found:
    """Return the pod that is asked for, built and verified, or why there is none."""
    try:
        counts = (wanted.hosts, wanted.host_ports, wanted.device_ports, wanted.islands, wanted.switch_ports)
        design = designs.check(wanted.kind, *counts)
        return Found(wanted, design, design.build())
    except designs.Infeasible as error:
        return Found(wanted, None, None, error.reason, error.nearest)
    except ValueError as error:
        return Found(wanted, None, None, str(error))
