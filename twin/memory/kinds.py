"""A pod by its numbers: its name, why there is none, its construction."""

from dataclasses import dataclass
from functools import cache
from typing import Final, get_args

from twin.memory import biregular, blocks, plain
from twin.memory import islands as side_by_side
from twin.memory.pods import Pod, PodKind

KINDS: Final[tuple[PodKind, ...]] = get_args(PodKind)
HOSTS_AT_MOST = 512
HOST_PORTS_AT_MOST = 16
SEED_AT_MOST = 999_999_999
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True, slots=True)
class Design:
    """A pod by its numbers; nothing is built before ``build``. ``designs.check`` makes one.

    ``islands`` and ``external_ports`` (ports of a host on devices outside) are those of islands, ``switch_ports`` those of a switch
    pod; ``seed`` draws what is drawn.
    """

    kind: PodKind
    hosts: int
    host_ports: int
    device_ports: int
    islands: int = 0
    external_ports: int = 0
    switch_ports: int = 0
    seed: int = 1

    @property
    def name(self) -> str:
        """The name that ``designs.parse`` reads: kind, hosts x ports a host n ports a device."""
        if self.kind == "islands":
            return side_by_side.named(self.islands, self.hosts // self.islands, self.device_ports, self.external_ports, self.seed)
        suffix = f"-p{self.switch_ports}" if self.kind == "switch" else ""
        return blocks.spelled(self.kind, self.hosts, self.host_ports, self.device_ports, suffix, self.seed)

    @property
    def title(self) -> str:
        """What it is, in words: "six islands of 16, 3 ports outside"."""
        if self.kind == "islands":
            count = _WORDS[self.islands] if self.islands < len(_WORDS) else str(self.islands)
            return f"{count} islands of {self.hosts // self.islands}, {_counted(self.external_ports, 'port')} outside"
        return {
            "fully_connected": f"{self.hosts} hosts, each on every device",
            "block_design": f"{self.hosts} hosts, any two share one device",
            "complete": f"{self.hosts} hosts, a device for each pair",
            "biregular": f"{self.hosts} hosts, drawn so that two share at most one device",
            "switch": f"{self.hosts} hosts behind {_counted(self.host_ports, 'switch')} of {self.switch_ports} ports",
        }[self.kind]

    def build(self) -> Pod:
        """Return the pod, verified; made once."""
        return _built(self)


@cache
def _built(design: Design) -> Pod:
    hosts, x, n = design.hosts, design.host_ports, design.device_ports
    match design.kind:
        case "fully_connected":
            return plain.fully_connected(hosts, x)
        case "block_design":
            return blocks.block_design(hosts, n)
        case "complete":
            return plain.complete(hosts)
        case "switch":
            return plain.switched(hosts, x, design.switch_ports)
        case "biregular":
            return biregular.biregular(hosts, x, n, design.seed)
        case "islands":
            return side_by_side.islands(design.islands, hosts // design.islands, n, design.external_ports, design.seed)


def why_not(design: Design) -> str:
    """Return why there is no such pod, "" where there is one; nothing is built."""
    kind, hosts, x, n = design.kind, design.hosts, design.host_ports, design.device_ports
    if not 0 <= design.seed <= SEED_AT_MOST:
        return f"a seed lies between 0 and {SEED_AT_MOST}"
    if not (2 <= hosts <= HOSTS_AT_MOST and 1 <= x <= HOST_PORTS_AT_MOST and n >= 1):
        return f"a pod has 2 to {HOSTS_AT_MOST} hosts of 1 to {HOST_PORTS_AT_MOST} CXL ports, and devices of 1 port or more"
    match kind:
        case "fully_connected":
            return "" if n == hosts else f"a device needs a port for each of {hosts} hosts, not {n}"
        case "block_design":
            if n == 2:
                return plain.why_not_complete(hosts) or "on two-port devices this is the complete pod"
            return blocks.why_not(hosts, n) or _unlike(x, blocks.host_ports_of(hosts, n))
        case "complete":
            return plain.why_not_complete(hosts) or _unlike(n, 2, "device") or _unlike(x, hosts - 1)
        case "switch":
            return plain.why_not_switched(hosts, x, design.switch_ports) or _unlike(n, 1, "device")
        case "biregular":
            return biregular.why_not(hosts, x, n)
        case "islands":
            return _why_no_islands(design)


def _why_no_islands(design: Design) -> str:
    hosts, x, n = design.hosts, design.host_ports, design.device_ports
    if hosts * x % n:
        return f"{hosts} hosts x {x} ports are no multiple of {n} ports a device (H X = M N)"
    sizes = sorted(v for v, k in blocks.CONSTRUCTIONS if k == n)
    if not sizes:
        return f"no block design on devices of {n} ports is built in for an island"
    if not design.islands:
        told = f"{', '.join(map(str, sizes[:-1]))} or {sizes[-1]}" if len(sizes) > 1 else f"{sizes[0]}"
        return f"{hosts} hosts of {x} ports do not make {n} or more islands of {told} with ports to spare"
    if hosts % design.islands:
        return f"{hosts} hosts do not make {design.islands} islands of one size"
    island_hosts = hosts // design.islands
    return side_by_side.why_not(design.islands, island_hosts, n, design.external_ports) or _unlike(
        x, blocks.host_ports_of(island_hosts, n) + design.external_ports
    )


def _unlike(given: int, needed: int, end: str = "host") -> str:
    return "" if given == needed else f"a {end} needs {_counted(needed, 'port')}, not {given}"


def _counted(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count} {noun}{'es' if noun.endswith('ch') else 's'}"
