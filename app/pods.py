"""What is known of a pod under design: its ask in the URL, what follows from it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, get_args

from app import state
from twin.memory.pods import PodKind
from twin.memory.settings import Settings

KINDS: Final[tuple[PodKind, ...]] = get_args(PodKind)
_ASK: Final = re.compile(r"^(?P<kind>[a-z_]+)-(?P<hosts>\d{1,4})x(?P<host>\d{1,3})n(?P<device>\d{1,3})(i(?P<islands>\d{1,2}))?$")


@dataclass(frozen=True, slots=True)
class Ask:
    """A pod as an operator asks for it, whether it can be built or not.

    ``device_ports`` are the ports of a device, behind switches those of a switch; ``islands`` counts where the kind has islands.
    """

    kind: PodKind
    hosts: int
    host_ports: int
    device_ports: int
    islands: int = 1

    @property
    def text(self) -> str:
        """Return the ask as the URL carries it, such as ``islands-96x8n4i6``."""
        return f"{self.kind}-{self.hosts}x{self.host_ports}n{self.device_ports}" + (f"i{self.islands}" if self.kind == "islands" else "")


FIRST: Final = Ask("islands", 96, 8, 4, 6)


@dataclass(frozen=True, slots=True)
class Draft:
    """What the Memory page is about: the pod that is asked for, its cables' slack, the pooled share, a host, what is lost."""

    ask: Ask
    slack_m: float
    pooled_share: float
    host: int
    lost: tuple[str, ...]


def parse(text: str) -> Ask | None:
    """Return what a link asks for; None where it cannot be read.

    >>> parse("block_design-25x8n4")
    Ask(kind='block_design', hosts=25, host_ports=8, device_ports=4, islands=1)
    """
    found = _ASK.match(text)
    kind = next((name for name in KINDS if found and name == found["kind"]), None)
    if found is None or kind is None:
        return None
    return Ask(kind, int(found["hosts"]), int(found["host"]), int(found["device"]), int(found["islands"] or 1))


def draft(settings: Settings, first: Ask = FIRST) -> Draft:
    """Return what the session drafts, from the URL where a link was opened; ``first`` where nobody has asked for a pod."""
    kept: Mapping[str, str] = state.drafted()
    ask = parse(kept.get("pod", "")) or first
    host = int(kept.get("host", "1")) if kept.get("host", "1").isdigit() else 1
    lost = tuple(name for name in kept.get("lost", "").split(" ") if name)
    return Draft(
        ask, _within(kept.get("slack"), settings.cable_slack_m), _within(kept.get("pooled"), settings.pooled_share), max(host, 1) - 1, lost
    )


def _within(text: str | None, otherwise: float) -> float:
    try:
        return min(max(float(text), 0.0), 1.0) if text is not None else otherwise
    except ValueError:
        return otherwise


def ask(wanted: Ask) -> None:
    """Draft another pod; what was lost and looked at in the former one is let go."""
    state.set_draft(pod=wanted.text, host=None, lost=None)


def change(now: Ask, **values: int) -> None:
    """Draft the same pod with other counts."""
    ask(replace(now, **values))  # type: ignore[arg-type]
