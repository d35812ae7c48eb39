"""Pods chosen by name: of which kind, of how many hosts, or none at all."""

import re
from typing import Final

from policies.intent.interpret.canon import Board, Canon, Mark

_POD: Final = r"(?:memory |cxl )*pods?"
_KIND: Final = r"(?P<kind>octopus|fully connected|full mesh|all to all|switch(?:ed)?(?: based)?)"
_COUNT: Final = r"(?P<hosts>\d{1,5})"
_OF: Final = r"(?:of|for|over|across|with|spanning|between)"
# "the 25-host octopus pod", "a fully connected pod of 8 hosts", "octopus for a pod of 25 hosts"
_SIZED: Final = (
    re.compile(rf"(?<![\w.]){_COUNT}[ -]hosts? {_KIND} {_POD}(?!\w)"),
    re.compile(rf"(?<!\w){_KIND} {_POD} {_OF} {_COUNT} hosts?(?!\w)"),
    re.compile(rf"(?<!\w)(?P<kind>octopus) for (?:a |the |one )?{_POD} {_OF} {_COUNT} hosts?(?!\w)"),
)
# "islands-64x8n4", as designs are called; "an islands pod of 96 hosts", "a bibd of 25 hosts": eight ports a host, four a device.
_DESIGN: Final = re.compile(
    r"(?<![\w-])(?:pod )?(?P<name>[a-z]+(?:-[a-z]+)?-\d{1,4}x\d{1,4}n\d{1,4}(?:-[ips]\d{1,9})*)(?: pods?)?(?![\w-])"
)
_DRAWN: Final = r"(?P<kind>islands?|bibd|(?:balanced |incomplete )*block[ -]design|bi-?regular)"
_DRAWN_SIZED: Final = (
    re.compile(rf"(?<![\w.]){_COUNT}[ -]hosts? {_DRAWN}(?: {_POD})?(?!\w)"),
    re.compile(rf"(?<!\w){_DRAWN}(?: {_POD})? {_OF} {_COUNT} hosts?(?!\w)"),
)
# "no memory pool", said of the pool itself: "no pool overflows" is another wish.
_NONE: Final = re.compile(
    r"(?<!\w)(?:(?:use|have|build|want|run with|stay with|back to) )?(?:no|without (?:a|any|the)) (?:memory |cxl |dram )*pool(?:s|ing)?"
    r"(?: at all)?\s*(?=$|[,;.!]|(?:and|but|today|please|for now|anywhere|everywhere)(?!\w))"
)
_TURNED_DOWN: Final = re.compile(r"(?<!\w)(?:not|never|no|without|instead of|rather than|other than|except|avoid)(?!\w)")
_ALL_BUT: Final = re.compile(r"(?<!\w)(?:anything|everything|any pod|any design|all) but (?:the |an? )?$")
_BREATH: Final = re.compile(r"[,;.:!?](?=\s|$)|(?<!\w)(?:and|but)(?!\w)")
# A change of a pod's cost is one against the fully connected pod anyhow: who says so says nothing else.
_PLAIN: Final = rf"than (?:the |a |that of the |in the )?fully[ -]connected {_POD}(?: of (?:8|eight) hosts)?(?!\w)"
_NO_DEARER: Final = re.compile(
    rf"(?<!\w)(?:(?:for|at) )?no (?:dearer|costlier|more(?: expensive)?|higher cost)(?: (?:per|a|for each) host)? {_PLAIN}"
)
_COST_OF_PLAIN: Final = re.compile(
    rf"(?P<cost>(?<!\w)costs? (?:per|a|for each|of a) host) (?:of|for|in|with) (?:the |a )?fully[ -]connected {_POD}"
    rf"(?: of (?:8|eight) hosts)?(?!\w)"
)
# What is moved is pooled memory in any case; its latency is not spoken of.
_MOVED: Final = re.compile(r"(?P<what>(?<!\w)(?:migrations?|moves|moving|migrating)) (?:of )?pooled (?:memory|slices|dram)(?!\w)")
# Who chooses among many designs is told the least and the most.
_KNOBS: Final = {"octopus": ("hosts_at_least", "hosts_at_most"), "fully_connected": ("hosts",), "switch": ("hosts",)}


def canonical(canon: Canon) -> Canon:
    """Return a text in which what is held against the fully connected pod is held against today, as every change is written."""
    canon = canon.sub(_NO_DEARER, lambda match: "cost per host no higher than today").sub(re.compile(_PLAIN), lambda match: "than today")
    return canon.sub(_COST_OF_PLAIN, lambda match: match["cost"]).sub(_MOVED, lambda match: match["what"])


def mark(board: Board, settings: dict[str, str], where: dict[str, Mark]) -> None:
    """Take a pod that is chosen by name and size, or none, as the holder of pod topology with its knob."""
    if _designs(board, settings, where):
        return
    for pattern in _SIZED:
        match = pattern.search(board.rest)
        if match is None or not int(match["hosts"]) or _turned_down(board.rest, match.start()):
            continue
        system = _system(match["kind"])
        settings["pod_topology"] = system
        where["pod_topology"] = Mark("knobs", match.start(), match.end(), dict.fromkeys(_KNOBS[system], int(match["hosts"])))
        board.take("taken", match.start(), match.end())
        return
    match = _NONE.search(board.rest)
    if match is not None:
        settings["pod_topology"] = "none"
        where["pod_topology"] = Mark("system", match.start(), match.end(), "none")
        board.take("taken", match.start(), match.end())


def _designs(board: Board, settings: dict[str, str], where: dict[str, Mark]) -> bool:
    """Take one design, by its name or by kind and hosts; whether there is such a pod is asked of the twin, by whoever builds it."""
    for pattern in (_DESIGN, *_DRAWN_SIZED):
        match = pattern.search(board.rest)
        if match is None or _turned_down(board.rest, match.start()):
            continue
        name = match["name"] if "name" in match.groupdict() else _called(match["kind"], int(match["hosts"]))
        settings["pod_topology"] = "octopus"
        where["pod_topology"] = Mark("knobs", match.start(), match.end(), {"design": name})
        board.take("taken", match.start(), match.end())
        return True
    return False


def _called(kind: str, hosts: int) -> str:
    """Return the name of the design of a kind and so many hosts: the ports that its numbers ask for, else eight a host and four a device.

    >>> _called("bibd", 25), _called("islands", 96)
    ('block-design-25x8n4', 'islands-96x8n4')
    """
    if kind.startswith("island"):
        return f"islands-{hosts}x8n4"
    if kind.startswith("bi") and kind != "bibd":
        return f"biregular-{hosts}x8n4"
    from twin.memory import blocks  # loaded where a block design is asked for

    ports = [n for v, n in blocks.CONSTRUCTIONS if v == hosts]
    device_ports = min(ports, key=lambda n: abs(n - 4), default=4)
    host_ports = (hosts - 1) // (device_ports - 1) or 1
    return f"block-design-{hosts}x{host_ports}n{device_ports}"


def _turned_down(text: str, at: int) -> bool:
    """Whether what stands at a place is said not to be wanted, in the same breath."""
    if _ALL_BUT.search(text[:at]):
        return True
    begin = max((found.end() for found in _BREATH.finditer(text[:at])), default=0)
    return _TURNED_DOWN.search(text[begin:at]) is not None


def _system(kind: str) -> str:
    return "octopus" if kind == "octopus" else "switch" if kind.startswith("switch") else "fully_connected"
