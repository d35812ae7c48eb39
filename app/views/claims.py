"""Can I trust this tool?"""

from collections.abc import Sequence
from html import escape
from typing import Final

import polars as pl
import streamlit as st

from app import calibrated, jobs, parts, state
from app.charts.grid import Cell, grid, word
from app.charts.marks import OF_VERDICT
from app.charts.marks import state as mark
from app.charts.spark import spark, squares
from app.charts.sweep import Mark, sweep
from app.published import Row, Step, checked, computed, contenders, own_step, paper, quantity, reached, rows, searched, sweeps, title
from app.widgets.drawing import drawing
from app.widgets.sheet import sheet
from policies.claim import Claim, Computed, Measured, Scored, Search
from twin.sources import STRENGTHS, sources
from twin.units import show_change

_EARLIER: Final = '<br><span class="m s">ours, before</span>'
_OLDER: Final = '<br><span class="m s">by older code</span>'


def show() -> None:
    """Show the page."""
    job = jobs.latest(state.home(), "claims")
    found = rows(checked(state.home()))
    under = "Every figure is computed on this machine; verdicts by a tolerance that was set before the run"
    parts.page_title(title(found), under, legend=False)
    wide, side = st.columns([820, 348], gap="small")
    with wide:
        _check(job, found)
        _claims(found)
        _opened(found)
    with side:
        _strengths()
        _meanings()
    _numbers()
    _sources()


def _check(job: jobs.Job | None, found: Sequence[Row]) -> None:
    """Offer to check all claims, or follow the check that is under way."""
    if job is not None and not job.over:
        with parts.panel("The claims are being checked on the twin", "claims-running"):
            parts.progress(job.job_id, key="claims")
        return
    if job is not None and job.state == "failed":
        parts.failed("The last check stopped", job.error or "no reason was left; see the job's log", key="claims")
    if any(row.verdict for row in found):
        return
    parts.empty(
        "Our side is not computed yet",
        "Each claim runs its own scenario under all policies and several seeds, in the background; those that are searched take up to "
        "half an hour each. The papers' numbers are below already.",
        key="claims",
        action="Check all claims",
        on_click=_submit,
    )


def _submit() -> None:
    jobs.submit("claims", {}, state.home())


def _claims(found: Sequence[Row]) -> None:
    if not found:
        return
    tokens = state.colours()
    firsts = [place for place, row in enumerate(found) if place == 0 or row.system_id != found[place - 1].system_id]
    body = [
        (
            word(row.system if place in firsts else "", "b dom"),
            word(row.claim.text.replace(" %", "\u00a0%").replace(" °C", "\u00a0°C"), "wrap"),
            Cell(escape(paper(row.claim)) + (_EARLIER if row.claim.own else ""), "n m"),
            word(quantity(row.ours, row.claim.unit), "n b"),
            Cell(mark(OF_VERDICT.get(row.verdict, "waiting"), tokens, row.verdict or "not checked yet") + (_OLDER if row.stale else "")),
            word(row.claim.fitted_parameters, "n extra"),
            Cell(spark(row.claim.paper, row.claim.tolerance, row.ours, tokens, _spread(row), row.claim.paper_high), "extra"),
        )
        for place, row in enumerate(found)
    ]
    names = (
        ("System", "dom"),
        ("Claim", ""),
        ("Paper", "n"),
        ("Ours", "n"),
        ("Verdict", ""),
        ("Fitted", "n extra"),
        ("Paper ± tolerance", "extra"),
    )
    with parts.panel(_counts(found), "claims-table", data=_frame(found)):
        sheet(grid([word(name, side) for name, side in names], body, firsts), key="claims-sheet")
        if any(row.verdict for row in found):
            st.button("Check all again", key="claims-again", on_click=_submit)


def _counts(found: Sequence[Row]) -> str:
    counts = {word: sum(row.verdict == word for row in found) for word in OF_VERDICT}
    words = [f"{count} {word}" for word, count in counts.items() if count]
    return ", ".join(words).capitalize() if words else f"{len(found)} claims, each with its tolerance and what was fitted to it"


def _frame(found: Sequence[Row]) -> pl.DataFrame:
    lines = []
    for row in found:
        claim = row.claim
        said = (row.system_id, claim.id, claim.text, claim.metric, claim.paper, claim.paper_high, row.ours, claim.unit)
        lines.append((*said, claim.tolerance, row.verdict, claim.fitted_parameters, claim.source))
    columns = ["system", "claim", "text", "metric", "paper", "paper_high", "ours", "unit"]
    columns += ["tolerance_share", "verdict", "fitted_parameters", "source"]
    return pl.DataFrame(lines, schema=columns, orient="row", infer_schema_length=None)


def _opened(found: Sequence[Row]) -> None:
    """Show the set-up of one claim, chosen by name."""
    if not found:
        return
    names = {row.key: f"{row.system}: {row.claim.text}" for row in found}
    with parts.panel("How one claim is held against ours", "claim"):
        key = st.selectbox("Claim", list(names), format_func=names.__getitem__, key="claim-open", label_visibility="collapsed")
        row = next((row for row in found if row.key == key), found[0])
        body = [(word(name, "m s top"), word(text, "wrap")) for name, text in _facts(row) if text]
        sheet(grid([], body), key="claim-facts")
        _contenders(row)
        _computed(row)
        for place, (name, steps) in enumerate(sweeps(row).items()):
            _sweep(row, place, name, steps)


def _contenders(row: Row) -> None:
    """Show what each contender reached at the claim's own point, where there are more than two."""
    step = own_step(row)
    if step is None or len(step.labels) <= 2 or not isinstance(row.claim.evidence, Search):
        return
    labels = contenders(row, step)
    body = [
        [
            word(_contender(row, label), "b" if label == ours(row) else ""),
            word(_reached(row, step, label), "n b"),
            word(_against(step, labels[0], label), "n m"),
        ]
        for label in labels
    ]
    st.html(f'<p class="iw-said">What each policy reached, the median over seeds: {escape(searched(row.claim))}</p>')
    heads = [
        word("Policy"),
        word("Reached", "n"),
        word(f"Against {_contender(row, labels[0])[:1].lower()}{_contender(row, labels[0])[1:]}", "n"),
    ]
    sheet(grid(heads, body), key="claim-contenders")


def _computed(row: Row) -> None:
    """Show all numbers of what was computed without a run, each with its label; ours is the first."""
    found = computed(row)
    if not found:
        return
    st.html('<p class="iw-said">What it comes to, the median over seeds; the first is ours</p>')
    frame = pl.DataFrame(found, schema=["number", "value"], orient="row")
    st.dataframe(frame, hide_index=True, height=min(36 * len(found) + 38, 420), key="claim-computed")


def ours(row: Row) -> str:
    """Return which contender's number is ours."""
    return row.claim.evidence.ours if isinstance(row.claim.evidence, Search) else ""


def _contender(row: Row, label: str) -> str:
    """Return a contender as it is read: ours by the system's name, parts as the paper calls them."""
    if label == ours(row):
        return row.system
    return label[:1].upper() + label[1:]


def _against(step: Step, first: str, label: str) -> str:
    """Return the change against the first contender as a share of what that one reached."""
    value, before = step.labels[label], step.labels[first]
    return "" if label == first or value is None or not before else show_change((value - before) / before, "x_share")


def _spread(row: Row) -> tuple[float, float] | None:
    """Return ours over the seeds at the claim's own point, from low to high."""
    own = row.points[0] if row.points else {}
    ends = (own.get("low"), own.get("high"))
    return None if ends[0] is None or ends[1] is None else (float(ends[0]), float(ends[1]))


def _sweep(row: Row, place: int, name: str, steps: Sequence[Step]) -> None:
    """Show ours over one value of the set-up, and what each contender reached there."""
    unit, tokens = row.claim.unit, state.colours()
    marks = [Mark(step.x, step.ours, step.low, step.high, step.own) for step in steps]
    labels = contenders(row, steps[0])
    body = [
        [
            word(f"{step.x} (the claim)" if step.own else step.x, "b" if step.own else ""),
            word(quantity(step.ours, unit) if step.ours is not None else "not found", "n b"),
            *(word(_reached(row, step, label), "n") for label in labels),
        ]
        for step in steps
    ]
    heads = [word(name[0].upper() + name[1:]), word("Ours", "n"), *(word(label, "n") for label in labels)]
    st.html(f'<p class="iw-said">Where it holds, over {escape(name)}</p>')
    drawing(sweep(marks, row.claim.span, name, lambda value: quantity(value, unit), tokens), key=f"claim-figure-{place}")
    sheet(grid(heads, body), key=f"claim-sweep-{place}")


def _reached(row: Row, step: Step, label: str) -> str:
    """Return what a contender reached, and how much of it is found."""
    value = step.labels[label]
    if value is None:
        return "not on every seed" if label in step.failed else "–"
    return reached(row, value) + ("" if step.exact else " or better")


def _facts(row: Row) -> tuple[tuple[str, str], ...]:
    claim = row.claim
    return (
        ("We measured before" if claim.own else "The paper says", f"{paper(claim)}{_of_what(claim)}"),
        ("Ours", quantity(row.ours, claim.unit)),
        ("Read from", _read_from(claim)),
        ("Where that was" if claim.own else "Where it is printed", claim.source),
        ("Tolerance", f"± {claim.tolerance:.0%} of {'that' if claim.own else 'the paper’s'} number, set before the run"),
        ("Fitted to it", f"{claim.fitted_parameters} numbers" if claim.fitted_parameters else "nothing: the number is a prediction"),
        ("Set-up", claim.setup),
        ("Scenario and seeds", f"{claim.scenario}, seeds {', '.join(str(seed) for seed in claim.seeds)}"),
        ("Runs", f"{row.probes:,} asked for, {row.probes_limit:,} at most" if row.probes_limit else ""),
        ("Verdict", f"{row.verdict}: {row.why}" if row.why else row.verdict or "not checked yet"),
        ("Computed by", "an older version of this code; check again" if row.stale else ""),
        ("What makes ours differ", claim.explained if row.verdict and row.verdict != "reproduced" else ""),
        ("Not comparable because", claim.comparable),
    )


def _of_what(claim: Claim) -> str:
    return f", {claim.unit}" if claim.unit.startswith("share") else ""


def _read_from(claim: Claim) -> str:
    """Return which metric ours comes from; what a claim computes from the requests themselves is no metric."""
    evidence = claim.evidence
    if isinstance(evidence, Computed):
        return "prices, latencies, cables and what stood on the hosts before the run; no run is needed"
    if isinstance(evidence, Scored):
        return f"what was said of simulated incidents on {claim.scenario}, by what was injected; shown: {evidence.ours}"
    return "the requests of the runs" if isinstance(evidence, Search) and isinstance(evidence.find, Measured) else claim.metric


def _strengths() -> None:
    counts, tokens = calibrated.by_strength(), state.colours()
    body = []
    for place, name in enumerate(STRENGTHS):
        body.append((Cell(squares(len(STRENGTHS) - place, tokens)), word(name.capitalize(), "b"), word(counts[name], "n b")))
        body.append((word(""), word(calibrated.MEANINGS[name], "m s wrap under", 2)))
    weak = counts["proposed"] + counts["memory"]
    with parts.panel(f"{weak} of {sum(counts.values())} numbers are assumed or not checked yet", "strengths", data=calibrated.entries()):
        sheet(grid([], body, range(0, len(body), 2)), key="strength-sheet")


def _meanings() -> None:
    words = (
        "A fitted number was chosen so that something known comes out. With one claim and one fitted number, agreement proves the "
        "arithmetic, not the system. Look at what was predicted besides, and at how wide the tolerance is."
    )
    with parts.panel("What fitted means", "fitted"):
        st.html(f'<p class="iw-said">{words}</p>')


def _numbers() -> None:
    frame = calibrated.entries()
    with parts.panel(f"All {frame['numbers'].sum()} calibration numbers, each with its source", "numbers", data=frame):
        with st.container(horizontal=True, gap="small"):
            asked = st.text_input("Find", placeholder="Find a number, a source or a note", key="numbers-find", label_visibility="collapsed")
            chosen = st.multiselect(
                "Strength", list(STRENGTHS), key="numbers-strength", placeholder="Any strength", label_visibility="collapsed"
            )
        if chosen:
            frame = frame.filter(pl.col("strength").is_in(chosen))
        if asked:
            text = pl.concat_str(pl.col("file", "entry", "source", "title", "note"), separator=" ").str.to_lowercase()
            frame = frame.filter(text.str.contains(asked.lower(), literal=True))
        st.dataframe(frame.drop("numbers"), hide_index=True, height=320, key="numbers-table")


def _sources() -> None:
    known = sources()
    frame = pl.DataFrame(
        [(key, item.title, item.kind, item.strength, item.reference, item.note) for key, item in known.items()],
        schema=["key", "title", "kind", "strength", "reference", "note"],
        orient="row",
    )
    with parts.panel(f"{len(known)} sources stand behind them", "sources", data=frame):
        st.dataframe(frame, hide_index=True, height=280, key="sources-table")
