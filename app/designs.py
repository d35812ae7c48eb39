"""A design in words and rows: the chosen one, the front, or why none."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from twin.metrics import METRICS
from twin.units import show

# Column -> metric or detail, in the order in which an operator compares pods.
COLUMNS: Final[Mapping[str, str]] = {
    "hosts": "memory.pod_hosts",
    "cost per host": "memory.cost_usd_per_host",
    "DRAM saved": "memory.dram_saving_share",
    "latency": "memory.access_latency_s",
    "moved per day": "memory.migrated_bytes",
}
AGAINST: Final = {"sum_of_peaks": "each host’s own peak", "uniform_sku": "the worst host’s peak for all"}


def statement(design: Mapping[str, Any]) -> str:
    """Return in one line what is built, or that nothing can be."""
    chosen = design["chosen"]
    if chosen is None:
        return "No pod keeps every bound" if design["nearest"] else "No pod is built"
    alone = round(chosen.get("details", {}).get("hosts_without_pod", 0.0))
    return f"{chosen['name']}: {summary(chosen)}{f'; {alone} of the hosts are in no pod' if alone else ''}"


def summary(option: Mapping[str, Any]) -> str:
    """Return an option's figures as a phrase."""
    words = {
        "memory.pod_hosts": "{} hosts",
        "memory.cost_usd_per_host": "{} per host",
        "memory.dram_saving_share": "{} of DRAM saved as predicted",
    }
    metrics = option["metrics"]
    found = [words.get(name, "{}").format(show(metrics[name], name)) for name in COLUMNS.values() if name in metrics]
    return ", ".join(found[:4])


def cells(option: Mapping[str, Any]) -> tuple[str, ...]:
    """Return an option's figures by column."""
    metrics = option["metrics"]
    return tuple(show(metrics[name], name) if name in metrics else "–" for name in COLUMNS.values())


def table(design: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the options that none beats, the chosen one marked, or the nearest where there is none: mark, name, title, figures."""
    options: Sequence[Mapping[str, Any]] = design["front"] or ([design["nearest"]] if design["nearest"] else [])
    chosen = design["chosen"]["name"] if design["chosen"] else ""
    listed = [*options, *([design["chosen"]] if chosen and chosen not in {each["name"] for each in options} else [])]
    return [
        ("chosen" if each["name"] == chosen else "" if chosen else "nearest", each["name"], each["title"], *cells(each)) for each in listed
    ]


def basis(design: Mapping[str, Any]) -> str:
    """Return by what a design is counted: prices, baseline of the saving, how many designs were looked at."""
    against = AGAINST.get(design["saving_against"], design["saving_against"])
    looked = design["considered"]
    count = f"{looked} design{'' if looked == 1 else 's'} looked at; " if looked else ""
    shown = [each for each in (*design["front"], design["chosen"], design["nearest"]) if each]
    saving = f", {METRICS['memory.dram_saving_share'].label} by the hosts in pods against {against}, as predicted on past demand"
    if not any("memory.dram_saving_share" in each["metrics"] for each in shown):
        saving = "; what it saves a run shows" if shown else ""
    return f"{count}prices {design['prices']}{saving}"


def misses(design: Mapping[str, Any]) -> list[str]:
    """Return what the nearest design misses, or the chosen one where it was asked for by name; less what ``why`` says already."""
    shown = design["chosen"] or design["nearest"]
    return [words for words in shown["misses"] if words not in design["why"]] if shown else []
