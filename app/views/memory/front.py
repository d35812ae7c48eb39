"""Every pod that could be built: cost against saving, none beats the blue."""

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl
import streamlit as st

from app import parts, pods, state
from app.charts.options import BEATEN, BEST, COST, HOSTS, MISSED, SAVING, options, options_title
from app.charts.statements import count
from app.pods import Draft, Found
from app.views.memory import kept, properties
from app.widgets.rows import Head, rows
from policies.system import Target
from policies.systems.octopus.limits import ENFORCED, said, shortfall
from policies.systems.octopus.unbeaten import SITE_SAVING, Figures, beats, figures
from twin.memory import designs
from twin.memory.saving import BASELINES
from twin.units import show

SHORT: Final[Mapping[str, str]] = {"sum_of_peaks": "own peaks", "uniform_sku": "the worst host’s peak"}
_MOVED: Final = "memory.migrated_bytes"
_LATENCY: Final = "memory.access_latency_s"
_KIND: Final = "front"
SWITCHED: Final = "switch-24x8n1-p32"
_HEADS: Final = (
    Head("pod", "Pod", "strong", "27%"),
    Head("hosts", "Hosts", "number", "7%", narrow=False),
    Head("cost", "Cost a host", "number", "11%"),
    Head("own", "Saved, own peaks", "value", "13%"),
    Head("worst", "Saved, worst host", "number", "13%", narrow=False),
    Head("site", "Saved on the site", "number", "12%", narrow=False),
    Head("latency", "Latency", "number", "8%", narrow=False),
    Head("moved", "Moved a day", "number", "9%", narrow=False),
)


def front(now: state.Context, draft: Draft, found: Found) -> None:
    """Draw the pods that could be built by cost and saving, or offer to work them out; a click shows that pod."""
    asked = kept.spec(now, draft)
    known = kept.look(_KIND, asked)
    if known.answer is None:
        with parts.panel("Which pod costs what, and what would it save?", "pod-front"):
            st.html(
                '<p class="iw-note">Every pod that can be built is laid out, priced and tried on the demand before the run. '
                "It takes about ten seconds once and is kept.</p>"
            )
            kept.offer(_KIND, asked, known, "Work out every pod")
        return
    limits = _limits(now, draft)
    frame = standing(known.answer["options"], limits)
    here = found.design.name if found.design is not None else ""
    against = str(known.answer["against"])
    title = options_title(frame, f"{'each host’s' if against == 'sum_of_peaks' else ''} {SHORT[against]}".strip())
    with parts.panel(title, "pod-front", data=table(frame, known.answer["refused"]), png=True):
        bounds = {limit.metric: limit.bound for limit in limits if limit.metric in {COST, SAVING}}
        fig = options(frame, state.colours(), here=here, bounds=bounds)
        parts.plot(fig, "pod-front", alt=title, on_pick=show_pod)
        _picker(frame, here)
        st.html(f'<p class="iw-note">{html.escape(_under(known.answer, frame, limits))}</p>')
        kept.offer(_KIND, asked, known, "Work out every pod anew")


def listed(now: state.Context, draft: Draft, found: Found) -> None:
    """List the pods that none beats beside the drafted one, with what they save against either baseline; nothing before they are known."""
    known = kept.look(_KIND, kept.spec(now, draft))
    if known.answer is None:
        return
    here = found.design.name if found.design is not None else ""
    frame = standing(known.answer["options"], _limits(now, draft))
    mine = frame.filter((pl.col("stands") == BEST) | (pl.col("name") == here))
    with parts.panel(listed_title(frame), "pod-unbeaten", data=mine):
        own, worst = BASELINES["sum_of_peaks"], BASELINES["uniform_sku"]
        site = "own peaks" if known.answer["against"] == "sum_of_peaks" else "worst host"
        inside = f"Saved by the hosts in pods against {own}, and against {worst}"
        words = f"{inside}; on the site ({site}) by all of them, of which those in no pod save nothing."
        st.html(f'<p class="iw-note">{words} Click a pod to see it above.</p>')
        _table(mine, here)


def listed_title(frame: pl.DataFrame) -> str:
    """Return how many pods none beats."""
    best = len(frame.filter(pl.col("stands") == BEST))
    words = count(best, "pod").capitalize() if best else "No pod"
    return f"{words} that none beats in cost, hosts and saving, in pods and on the site" if best else "No pod keeps every bound"


def _limits(now: state.Context, draft: Draft) -> list[Target]:
    """Return what the intents that stand bound of a pod."""
    wishes = [wish for _, wish in properties.wished(now, draft) if wish.metric in ENFORCED]
    return list(dict.fromkeys(Target(metric=wish.metric, op=wish.op, bound=wish.value) for wish in wishes))


def standing(found: Sequence[Mapping[str, Any]], limits: Sequence[Target]) -> pl.DataFrame:
    """Return a row per pod: its metrics, what it saves by each baseline and on the site, and how it stands among those within every limit.

    ``stands`` is best (none beats it in cost, hosts, and saving in pods and on the site, as Octopus has it), beaten or missed; ``why``
    names what beats it, or the limit that it misses the most.
    """
    each = [
        {
            "name": option["name"],
            "title": option["title"],
            **figures(option["metrics"], option["details"]),
            **{name: option["details"].get(f"in_pods_{name}_total_share") for name in BASELINES},
            "label": _label(option["name"]),
            "missed": _missed(option["metrics"], limits),
        }
        for option in found
    ]
    able = sorted((row for row in each if not row["missed"]), key=lambda row: row[COST])
    best = [row for row in able if not any(beats(other, row) for other in able)]
    names = {row["name"] for row in best}
    for row in each:
        row["stands"] = BEST if row["name"] in names else MISSED if row["missed"] else BEATEN
        row["why"] = row["missed"] or ("none beats it" if row["name"] in names else _beaten(row, best))
    return pl.DataFrame(each, infer_schema_length=None).drop("missed").sort(COST, "name")


def _label(name: str) -> str:
    """Return what stands beside the plain pods of the most hosts in the figure, whoever beats them."""
    return {properties.PLAIN: "full, 8", SWITCHED: "switched, 24"}.get(name, "")


def _missed(metrics: Mapping[str, float], limits: Sequence[Target]) -> str:
    missed = shortfall(metrics, limits)
    return said(metrics, max(missed, key=lambda limit: missed[limit])) if missed else ""


def _beaten(row: Figures, best: Sequence[Mapping[str, Any]]) -> str:
    """Return who beats a pod, the cheapest of those that do."""
    return f"beaten by {next(other['title'] for other in best if beats(other, row))}"


def table(frame: pl.DataFrame, refused: Mapping[str, str]) -> pl.DataFrame:
    """Return what *Data* shows: every pod with both savings, then those that cannot be built, with the reason."""
    gone = pl.DataFrame(
        {"name": list(refused), "stands": ["refused"] * len(refused), "why": list(refused.values())},
        schema_overrides={"name": pl.String, "stands": pl.String, "why": pl.String},
    )
    return pl.concat([frame, gone], how="diagonal")


def _under(answer: Mapping[str, Any], frame: pl.DataFrame, limits: Sequence[Target]) -> str:
    """Return what the figure counts by, how many pods stand where, and the limit that binds."""
    days = f"{answer['days']:.0f} day{'' if round(answer['days']) == 1 else 's'}"
    words = [
        f"Saved by the hosts in pods against {answer['against_words']}, by prices {answer['prices']}, on {days} of demand before the "
        "run; the larger the dot, the more hosts.",
        on_the_site(frame),
        binding(frame, limits),
    ]
    if answer["refused"]:
        name, why = next(iter(answer["refused"].items()))
        words.append(f"{count(len(answer['refused']), 'design').capitalize()} cannot be built here, such as {name}: {why}.")
    return " ".join(filter(None, words))


def on_the_site(frame: pl.DataFrame) -> str:
    """Return which of the pods that none beats saves the most on the site, "" where there is none: what Octopus prefers."""
    best = frame.filter(pl.col("stands") == BEST).sort(SITE_SAVING, COST, descending=[True, False])
    if best.is_empty():
        return ""
    title, saved = best.select("title", SITE_SAVING).row(0)
    return f"Hosts that fill no whole pod save nothing: on the site {title} saves the most, {show(saved, SAVING)}."


def binding(frame: pl.DataFrame, limits: Sequence[Target]) -> str:
    """Return how many pods none beats and how many miss a bound; the limit that turns most of them away is named."""
    best, beaten, missed = (len(frame.filter(pl.col("stands") == each)) for each in (BEST, BEATEN, MISSED))
    words = f"Of {best + beaten + missed} pods {best} {'is' if best == 1 else 'are'} beaten by none, {beaten} by another"
    if not missed:
        return f"{words}."
    misses = {limit: sum(bool(shortfall(row, [limit])) for row in frame.iter_rows(named=True)) for limit in limits}
    binds = max(misses, key=lambda limit: misses[limit])
    of = f"{'at most' if binds.op == '<=' else 'at least'} {show(binds.bound, binds.metric)}"
    label = {COST: "cost per host", SAVING: "DRAM saved", HOSTS: "hosts in the pod", _LATENCY: "latency"}[binds.metric]
    return f"{words}, {missed} {'misses' if missed == 1 else 'miss'} a bound: {label} {of} turns {misses[binds]} away."


def _picker(frame: pl.DataFrame, here: str) -> None:
    """Let any pod be chosen without a pointer."""
    names = frame["name"].to_list()
    words = {row["name"]: _words(row) for row in frame.iter_rows(named=True)}
    key = "pod-front-pick"
    wanted = here if here in words else None
    if st.session_state.get(key) != wanted:
        st.session_state[key] = wanted

    def chosen() -> None:
        if st.session_state[key]:
            show_pod(st.session_state[key])

    st.selectbox(
        "Show one of these pods", names, key=key, index=None, placeholder="Show one of these pods",
        format_func=lambda name: words[name], on_change=chosen, label_visibility="collapsed",
    )  # fmt: skip


def _words(row: Mapping[str, Any]) -> str:
    stands = {BEST: "beaten by none", BEATEN: "beaten", MISSED: "misses a bound"}[row["stands"]]
    return f"{row['title']} · {show(row[COST], COST)} · {show(row[SAVING], SAVING)} saved · {stands}"


def show_pod(name: str) -> None:
    """Draft a pod of the figure."""
    pods.ask(pods.of(designs.parse(name)))


def _table(frame: pl.DataFrame, here: str) -> None:
    found = [
        {
            "id": row["name"],
            "pod": row["title"],
            "hosts": f"{row[HOSTS]:.0f}",
            "cost": f"{row[COST]:,.0f}\u00a0USD".replace(",", "\u00a0"),
            "latency": show(row[_LATENCY], _LATENCY),
            "site": show(row[SITE_SAVING], SAVING),
            "moved": show(row[_MOVED], _MOVED) if row[_MOVED] else "0",
            **{key: show(row[name], "x_share") for key, name in (("own", "sum_of_peaks"), ("worst", "uniform_sku"))},
        }
        for row in frame.iter_rows(named=True)
    ]
    rows(_HEADS, found, state.colours(), key="pod-front-rows", chosen=here, on_pick=show_pod)
