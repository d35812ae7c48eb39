"""What did I ask for, and does it hold?"""

import html
import json
from typing import Any

import polars as pl
import streamlit as st

from app import answered, answered_plans, asked, choices, desk, editing, evidence, jobs, parts, state
from app.report.judgement import Line
from app.widgets.rows import Head, rows
from policies.intent.model import Intent
from twin.metrics import METRICS

_STEPS = ("Text", "Understood", "Policy diff", "Twin evidence", "Approval", "Assurance")


def show() -> None:
    """Show the chosen intent, or all of them."""
    now = state.context()
    records = desk.intents()
    record = next((item for item in records if item.intent_id == now.intent_id), None)
    if record is None:
        _all(records)
        return
    intent = asked.understood(record)
    shown = desk.evidence(record.intent_id, record.version)
    lines = evidence.judged(record.intent_id, intent, shown) if shown is not None else []
    key = f"{record.intent_id}-{record.version}"
    _head(record, lines)
    _steps(record, shown)
    left, right = st.columns([400, 768], gap="small")
    with left:
        _said(record, intent, key)
        _findings(record, intent, key)
        _diff(record, key)
    with right:
        answered.panel(record, key)
        answered_plans.panels(record, key)
        _twin(record, intent, shown, lines, key)


def _head(record: Any, lines: list[Line]) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small", key="intent-head"):
        with st.container():
            under = f"Version {record.version} · written {record.created_at.strftime('%-d %b %H:%M')} UTC by {record.actor}"
            parts.page_title(f"{record.intent_id} {_statement(record, lines)}", under, legend=False)
        versions = desk.versions(record.intent_id)
        if len(versions) > 1:
            with st.popover(f"Diff v{record.version - 1} → v{record.version}", key="intent-diff"):
                _version_diff(versions[-2], versions[-1])
        st.button("All intents", key="all-intents", on_click=state.set_intent, args=(None,))


def _statement(record: Any, lines: list[Line]) -> str:
    if record.state in desk.LIVE:
        word = asked.worst(evidence.assurance(record))
        return {"met": "is in force and holds", "at risk": "is in force and close to its bounds", "broken": "is in force and broken"}.get(
            word, "is in force"
        )
    if record.state in {"rejected", "retired", "revised"}:
        return f"is {record.state}"
    if any(_severity(item) == "block" for item in record.findings):
        return "cannot be done as it is written"
    if _open_questions(record):
        return "has an open question"
    if not lines:
        return "is understood and can be tried on the twin"
    broken = any(line.state == "broken" for line in lines if line.bound is not None)
    return "does not hold on the twin" if broken else "holds on the twin and waits for approval"


def _steps(record: Any, shown: Any) -> None:
    decided = [item for item in desk.decisions(record.intent_id) if item.version == record.version]
    written = record.created_at.strftime("%H:%M")
    seeds = f"{len(shown.candidate_run_ids)} seed{'s' if len(shown.candidate_run_ids) > 1 else ''}" if shown else ""
    details = [written, "" if _open_questions(record) else written, written if record.policy else "", seeds, "", ""]
    done = [True, not _open_questions(record), bool(record.policy), shown is not None, record.state in desk.LIVE, False]
    if decided:
        details[4] = f"{decided[-1].decision.replace('_', ' ')} by {decided[-1].actor}"
    if record.state in desk.LIVE:
        details[5] = asked.worst(evidence.assurance(record))
    current = next((index for index, ready in enumerate(done) if not ready), len(done) - 1)
    items = []
    for index, name in enumerate(_STEPS):
        state_word = "now" if index == current else "met" if done[index] else "waiting"
        kind = "now" if index == current else "done" if done[index] else "later"
        items.append(f'<li class="{kind}">{parts.mark(state_word, "")}{name} <small>{html.escape(details[index])}</small></li>')
    with st.container(border=True, key="panel-steps"):
        st.html(f'<ol class="iw-steps" aria-label="Life cycle">{"".join(items)}</ol>')


def _said(record: Any, intent: Intent, key: str) -> None:
    with parts.panel(f"{record.actor} wrote", f"said-{key}"):
        st.html(f'<p class="iw-said">“{html.escape(record.text)}”</p>')
        st.html(f'<p class="iw-note">Read back: change any part</p><p class="iw-said">{html.escape(desk.sentence(intent))}</p>')
        now = state.context()
        entities = state.run(now.run_id).manifest["entities"] if now.run_id else {}
        locked = record.state in desk.LIVE
        editing.editor(intent, entities, lambda changed: desk.edit(record, changed), key=key, locked=locked)


def _severity(finding: Any) -> str:
    return str(finding.get("severity", "info")) if isinstance(finding, dict) else "info"


def _open_questions(record: Any) -> list[dict[str, Any]]:
    found = [item for item in record.findings if _severity(item) == "question"]
    known = {item["text"] for item in found}
    asks = [{"severity": "question", **item} for item in record.intent.get("questions", ()) if item["text"] not in known]
    return [*found, *asks]


def _findings(record: Any, intent: Intent, key: str) -> None:
    questions = _open_questions(record)
    others = [item for item in record.findings if _severity(item) != "question"]
    if not questions and not others:
        return
    count = f"{len(questions)} question{'s are' if len(questions) > 1 else ' is'} open" if questions else "No question is open"
    notes = sum(_severity(item) == "info" for item in others)
    with parts.panel(f"{count}, {notes} note{'' if notes == 1 else 's'} on how it was read", f"findings-{key}"):
        for item in [*[one for one in others if _severity(one) == "block"], *questions, *[o for o in others if _severity(o) == "info"]]:
            word = _severity(item)
            tag = {"block": "refused"}.get(word, word)
            st.html(f'<p class="iw-said"><span class="iw-tag {word}">{tag}</span>{html.escape(item["text"])}</p>')
        for index, item in enumerate(questions):
            field = f"answer-{key}-{index}"
            _offered(record, item, field)
            with st.form(field, border=False, clear_on_submit=True):
                answer = st.text_input(parts.plain(f"Your answer ({about_words(item['about'])})"), key=f"{field}-text", max_chars=400)
                if st.form_submit_button("Answer") and answer.strip():
                    desk.answer(record, item["about"], answer)
                    st.rerun()


def about_words(about: str) -> str:
    """Return what a question is about: a metric's label, else its slot in words."""
    return METRICS[about].label if about in METRICS else about.replace("_", " ")


def _offered(record: Any, item: dict[str, Any], field: str) -> None:
    """Offer the answers that the question names, each with what it would make of the request."""
    offered = choices.choices(dict(record.intent), item["about"], item["text"], state.context().scenario)
    if not offered:
        return
    with st.container(horizontal=True, gap="xsmall", key=f"{field}-offered"):
        for place, choice in enumerate(offered):
            args = (record, item["about"], choice.words)
            st.button(parts.plain(choice.words), key=f"{field}-{place}", help=parts.plain(choice.reads), on_click=desk.answer, args=args)


def _diff(record: Any, key: str) -> None:
    if not record.policy:
        return
    lines = desk.policy_words(record)
    with parts.panel(f"{len(lines)} lever{'' if len(lines) == 1 else 's'} change{'s' if len(lines) == 1 else ''}", f"diff-{key}"):
        for line in lines:
            lever, _, rest = line.partition(": ")
            new, _, old = rest.partition(", instead of ")
            was = f'<br><s class="iw-note">{html.escape(old)}</s>' if old else ""
            st.html(f'<p class="iw-note">{html.escape(lever)}</p><p class="iw-said">{html.escape(new)}{was}</p>')
        if not lines:
            st.html('<p class="iw-note">The policy stays as it is today.</p>')
        st.download_button(
            "JSON", lambda: json.dumps(record.policy, indent=2), f"{record.intent_id}-policy.json", key=f"json-{key}", on_click="ignore"
        )


def _twin(record: Any, intent: Intent, shown: Any, lines: list[Line], key: str) -> None:
    job = jobs.latest(state.home(), "try", intent_id=record.intent_id, version=record.version)
    busy = job is not None and not job.over
    ready = bool(record.policy) and not any(_severity(item) == "block" for item in record.findings)
    if job is not None and busy:
        evidence.running(job, key)
    elif job is not None and job.state == "failed" and job.error:
        parts.failed("The trial did not finish", job.error, key=f"try-{key}")
    if shown is not None:
        evidence.table(lines, key)
    elif not busy:
        with parts.panel("The twin has not seen this yet", f"untried-{key}"):
            st.html(
                '<p class="iw-note">Today’s policy and the candidate run in the same world, with the same requests and the same weather, '
                "and every bound is held against both.</p>"
            )
            _try(record, key, ready=ready, primary=True)
    left, right = st.columns([456, 300], gap="small")
    with left:
        if shown is not None and not busy:
            _try(record, key, ready=ready, primary=False)
        _explored(record, intent, key)
    with right:
        if ready:
            evidence.approval(record, lines, primary=shown is not None, key=key)
        if shown is not None:
            runs = (shown.today_run_ids[0], shown.candidate_run_ids[0])
            st.button("Show both runs on every page", key=f"see-{key}", width="stretch", on_click=desk.see, args=runs)


def _try(record: Any, key: str, *, ready: bool, primary: bool) -> None:
    if not ready:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"try-bar-{key}"):
        st.button(
            "Try it on the twin" if primary else "Try it again", key=f"try-{key}", type="primary" if primary else "secondary",
            on_click=desk.try_it, args=(record, f"seeds-{key}"),
        )  # fmt: skip
        st.selectbox("Seeds", [1, 3, 5], key=f"seeds-{key}", format_func=_seed_words, label_visibility="collapsed", width=110)
        st.button("Explore candidates", key=f"explore-{key}", on_click=desk.explore, args=(record,))


def _seed_words(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"


def _explored(record: Any, intent: Intent, key: str) -> None:
    job = jobs.latest(state.home(), "explore", intent_id=record.intent_id, version=record.version)
    if job is None:
        return
    if not job.over:
        with parts.panel("The twin tries other candidates", f"exploring-{key}"):
            parts.progress(job.job_id, key=f"explore-{key}")
    elif job.error:
        parts.failed("The search did not finish", job.error, key=f"explore-{key}")
    elif job.result and job.result.get("candidates"):
        evidence.candidates(job.result, record, intent, key)


def _version_diff(old: Any, new: Any) -> None:
    before, after = desk.sentence(asked.understood(old)), desk.sentence(asked.understood(new))
    st.html(f'<p class="iw-note">Version {old.version}</p><p class="iw-said">{html.escape(before)}</p>')
    st.html(f'<p class="iw-note">Version {new.version}</p><p class="iw-said">{html.escape(after)}</p>')


def _all(records: list[Any]) -> None:
    now = state.context()
    if not records:
        parts.page_title("Nothing is asked of this datacenter yet", "Say what you want in the bar at the foot of the page.", legend=False)
        parts.hint(
            "How it goes",
            (
                "Write what you want, for example: keep every GPU under 80 °C this afternoon and cut serving cost by 10 %.",
                "See it read back, and change any part that was not meant so.",
                "Try it on the twin beside today’s policy; approve it if the evidence convinces you.",
            ),
            key="how-it-goes",
        )
        return
    broken = sum(record.state in desk.LIVE and asked.worst(asked.lines(record, now.today, now.run_id)) == "broken" for record in records)
    count = f"{len(records)} intent{'' if len(records) == 1 else 's'}"
    words = f"{count}, " + (f"{broken} in force and broken" if broken else "none in force is broken")
    parts.page_title(words, "Click one to see how it was understood, what the twin showed, and who approved it.", legend=False)
    listed = [
        {
            "id": record.intent_id,
            "intent": {"lead": record.intent_id, "text": record.text},
            "version": f"v{record.version}",
            "state": record.state.replace("_", " "),
            "stands": asked.worst(asked.lines(record, now.today, now.run_id)),
            "who": record.actor,
        }
        for record in records
    ]
    frame = pl.DataFrame([(x["id"], x["version"], x["intent"]["text"], x["state"], x["who"]) for x in listed], orient="row")
    frame.columns = ["intent_id", "version", "text", "state", "actor"]
    columns = [
        Head("intent", "Intent", "strong", "55%"),
        Head("version", "Version", "muted", "9%", narrow=False),
        Head("state", "Life cycle", "muted", "12%"),
        Head("stands", "On the run shown", "state", "13%"),
        Head("who", "Written by", "muted", "11%", narrow=False),
    ]
    with parts.panel("All intents", "all-intents", data=frame):
        rows(columns, listed, state.colours(), key="all-intents-rows", on_pick=state.set_intent)
