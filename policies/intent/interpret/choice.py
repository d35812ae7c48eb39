"""Which metric a noun means: gated by unit, place and percentile."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from policies.intent.interpret.quantities import Kind, Per, Quantity
from policies.intent.interpret.words import Concept
from twin.metrics import METRICS
from twin.units import suffix_of

_KIND_OF_SUFFIX: Final[dict[str, Kind]] = {
    "_c": "temp", "_w": "power", "_j": "energy", "_s": "time", "_kg": "mass", "_l": "volume", "_usd": "money", "_usd_per_h": "money",
    "_usd_per_million_tokens": "money", "_share": "share", "_bytes": "bytes", "_per_s": "rate", "": "count",
}  # fmt: skip
_DOMAIN_OF_SCOPE: Final = {
    "row": "plant", "rack": "plant", "server": "plant", "endpoint": "serving", "workload": "workloads", "host": "workloads",
    "function": "functions", "workflow": "workflows",
}  # fmt: skip
FAMILY_P99: Final = {
    "ttft": "serving.ttft_p99_s", "tbt": "serving.tbt_p99_s", "atgt": "serving.atgt_p99_s", "e2e": "serving.e2e_p99_s",
    "makespan": "workflows.makespan_p99_s", "function": "functions.latency_p99_s", "image": "serving.image_ttft_p99_s",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choice:
    """The metrics that are meant, or the question to ask; ``assumed`` says what default was taken."""

    metrics: tuple[str, ...] = ()
    about: str = ""
    question: str = ""
    assumed: str = ""


def kind_of(metric: str) -> Kind:
    """Return the kind of quantity that bounds a metric."""
    if metric.endswith("_per_job") or metric.endswith("_per_host"):
        return "energy" if "_j_" in metric else "money"
    return _KIND_OF_SUFFIX[suffix_of(metric)]


def fits(metric: str, quantity: Quantity | None, per: Per | None, relative: bool) -> bool:
    """Return whether a quantity can bound a metric; none fits every metric, and so does a change."""
    if quantity is None or relative or quantity.kind in {"foreign", "points", "times"}:
        return True
    kind = kind_of(metric)
    if quantity.kind == "count":
        if kind == "rate":
            return True
        return kind in {"count", "temp"} or (kind == "share" and 0 <= quantity.value <= 1)
    if quantity.kind == "part":
        return kind == "share"
    if quantity.kind != kind:
        return False
    return kind != "money" or _money_fits(metric, per)


def _money_fits(metric: str, per: Per | None) -> bool:
    what = per.what if per is not None else ""
    wanted = {"job": "_per_job", "host": "_per_host", "tokens": "_tokens"}.get(what)
    ending = next((end for end in ("_per_job", "_per_host", "_tokens") if metric.endswith(end)), None)
    return ending == wanted if what else True


def narrow(metrics: Sequence[str], scope_kinds: Iterable[str], per: Per | None) -> tuple[str, ...]:
    """Return the metrics that the places and the counting leave."""
    left = list(metrics)
    if per is not None and len(left) > 1:
        endings = {"job": "_per_job", "host": "_per_host", "tokens": "_tokens"}
        if per.what in endings:
            left = [metric for metric in left if metric.endswith(endings[per.what])] or left
        elif per.what in {"hour", "day", "week"}:
            left = [metric for metric in left if not metric.endswith(tuple(endings.values()))] or left
    domains = {_DOMAIN_OF_SCOPE[kind] for kind in scope_kinds}
    if len(left) > 1 and domains:
        left = [metric for metric in left if METRICS[metric].domain in domains] or left
    return tuple(left)


def choose(
    concept: Concept, quantity: Quantity | None, per: Per | None, relative: bool, scope_kinds: set[str], percentile: str | None
) -> Choice:
    """Return the metrics that a concept means under a quantity, a place and a percentile."""
    if not concept.metrics:
        return Choice(about="meaning", question="That quantity is not one that the twin knows; which metric is meant?")
    fitting = [metric for metric in concept.metrics if fits(metric, quantity, per, relative)]
    if not fitting:
        return Choice()
    if concept.family or concept.name == "image_ttft":
        return _by_percentile(concept, fitting, percentile)
    special = _SPECIAL.get(concept.name)
    if special is not None:
        chosen = special(fitting, quantity, per, scope_kinds, relative, percentile)
        if chosen is not None:
            return chosen
    left = narrow(fitting, scope_kinds, per)
    if len(left) == 1:
        return Choice(left)
    labels = ", ".join(dict.fromkeys(METRICS[metric].label for metric in left))
    return Choice(about="meaning", question=f"Which is meant: {labels}?")


def _by_percentile(concept: Concept, metrics: Sequence[str], percentile: str | None) -> Choice:
    family = concept.family or "image"
    p99 = FAMILY_P99[family]
    if percentile is None:
        return Choice((p99,), assumed=f"no percentile is named, p99 is taken for {METRICS[p99].label}")
    named = [metric for metric in metrics if f"_{percentile}_" in metric]
    if named:
        return Choice((named[0],))
    known = " and ".join(sorted({metric.rsplit("_", 2)[1] for metric in metrics}))
    word = {"mean": "The average"}.get(percentile, percentile)
    return Choice(about=p99, question=f"{word} is not known for {METRICS[p99].label}, only {known}; should it hold there?")


def _throttling(
    fitting: Sequence[str], quantity: Quantity | None, per: Per | None, scope_kinds: set[str], relative: bool, percentile: str | None
) -> Choice | None:
    if quantity is not None and quantity.kind == "share" and not relative:
        return Choice(("plant.throttled_gpu_share",))
    events = tuple(metric for metric in fitting if metric.endswith("_events"))
    return Choice(events, assumed="throttling is read as both thermal and power throttling") if events else None


def _gpus(
    fitting: Sequence[str], quantity: Quantity | None, per: Per | None, scope_kinds: set[str], relative: bool, percentile: str | None
) -> Choice | None:
    if relative:
        return Choice(("serving.gpus_mean",))
    if quantity is None:
        return Choice(about="meaning", question="Is the temperature of the GPUs meant, or how many of them are held?")
    return Choice(("plant.gpu_temp_max_c",)) if "plant.gpu_temp_max_c" in fitting else None


def _energy(
    fitting: Sequence[str], quantity: Quantity | None, per: Per | None, scope_kinds: set[str], relative: bool, percentile: str | None
) -> Choice | None:
    job = (per is not None and per.what == "job") or "workflow" in scope_kinds
    wanted = "workflows.energy_j_per_job" if job else "plant.energy_j"
    return Choice((wanted,)) if wanted in fitting else None


def _serving_cost(
    fitting: Sequence[str], quantity: Quantity | None, per: Per | None, scope_kinds: set[str], relative: bool, percentile: str | None
) -> Choice | None:
    tokens = per is not None and per.what == "tokens"
    wanted = "serving.cost_usd_per_million_tokens" if tokens else "serving.cost_usd_per_h"
    return Choice((wanted,)) if wanted in fitting else None


def _quality(
    fitting: Sequence[str], quantity: Quantity | None, per: Per | None, scope_kinds: set[str], relative: bool, percentile: str | None
) -> Choice | None:
    workflow = "workflow" in scope_kinds
    return Choice(("workflows.quality_min_share" if workflow else "serving.quality_mean_share",))


def _power(
    fitting: Sequence[str], quantity: Quantity | None, per: Per | None, scope_kinds: set[str], relative: bool, percentile: str | None
) -> Choice | None:
    if "row" in scope_kinds:
        return Choice(("plant.row_power_peak_w",))
    return Choice(about="meaning", question="Whose power: that of a row, or of the whole site?")


def _cost(
    fitting: Sequence[str], quantity: Quantity | None, per: Per | None, scope_kinds: set[str], relative: bool, percentile: str | None
) -> Choice | None:
    if "endpoint" in scope_kinds and not (per is not None and per.what in {"job", "host"}):
        return _serving_cost(fitting, quantity, per, scope_kinds, relative, percentile)
    if "workflow" in scope_kinds and "workflows.cost_usd_per_job" in fitting:
        return Choice(("workflows.cost_usd_per_job",))
    return None


def latency(
    fitting: Sequence[str], quantity: Quantity | None, per: Per | None, scope_kinds: set[str], relative: bool, percentile: str | None
) -> Choice | None:
    """Return which latency is meant: by its size, by the place; otherwise it is asked."""
    if quantity is not None and quantity.kind == "time" and quantity.value < 2e-6 and not relative:
        return Choice(("memory.access_latency_s",))
    if scope_kinds == {"workflow"} and percentile in {None, "p99"}:
        return Choice(("workflows.makespan_p99_s",), assumed="the latency of a workflow is read as its makespan at p99")
    if "function" in scope_kinds:
        if percentile in {None, "p99"}:
            return Choice(
                ("functions.latency_p99_s",), assumed="" if percentile else "no percentile is named, p99 is taken for function latency"
            )
        if percentile == "p50":
            return Choice(("functions.latency_p50_s",))
        return Choice(
            about="functions.latency_p99_s", question=f"{percentile} is not known for function latency, only p50 and p99; which is meant?"
        )
    return Choice(about="meaning", question="Which latency: first token, between tokens, end to end, function or memory?")


def _throughput(
    fitting: Sequence[str], quantity: Quantity | None, per: Per | None, scope_kinds: set[str], relative: bool, percentile: str | None
) -> Choice | None:
    function = "function" in scope_kinds
    return Choice(("functions.throughput_max_per_s" if function else "serving.throughput_per_s",))


_SPECIAL: Final = {
    "throttling": _throttling, "gpus": _gpus, "energy": _energy, "serving_cost": _serving_cost, "quality": _quality,
    "power": _power, "cost": _cost,
    "latency": latency, "throughput": _throughput,
}  # fmt: skip
