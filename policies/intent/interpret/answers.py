"""An answer in words refines the reading that asked."""

from policies.intent import guards
from policies.intent.interpret.embedded import EmbeddedReader
from policies.intent.interpret.reader import Reading, Site
from policies.intent.model import Intent


def answered(intent: Intent, about: str, text: str, site: Site) -> Reading:
    """Return the reading of a request with an answer in the place that was asked about.

    Tried in turn: the answer in the place of the words that were asked about; the answer as a part of its own beside what
    was clear. Raises ValueError, one line, where neither settles the question.
    """
    reader = EmbeddedReader()
    before = reader.read(intent.text, site)
    if not any(item.about == about for item in intent.questions):
        raise ValueError(
            f"nothing is asked about {about}; what is open is about {', '.join(item.about for item in intent.questions) or 'nothing'}"
        )
    for request in _requests(intent, before, about, text.strip()):
        if len(request) > guards.TEXT_LIMIT:
            continue
        reading = reader.read(request, site)
        settled = about not in {item.about for item in reading.intent.questions} and not reading.blocked
        kept = set(intent.expectations) <= set(reading.intent.expectations) or not intent.expectations
        if settled and kept and not reading.intent.empty():
            return reading
    alone = reader.read(text, site)
    if alone.intent.empty() or alone.blocked or alone.open_questions:
        raise ValueError(
            f"the answer {text[:60]!r} does not settle the question; say it as a target, such as 'p99 TTFT under 2 s', or edit the reading"
        )
    return _beside(intent, about, alone)


def rebounded(intent: Intent, text: str, site: Site) -> Reading:
    """Return the reading of a request whose bounds cannot be kept together, with those of an answer in the place of its own.

    Raises ValueError, one line, where the answer bounds nothing.
    """
    said = EmbeddedReader().read(text, site)
    if not said.intent.expectations or said.blocked or said.open_questions:
        raise ValueError(f"the answer {text[:60]!r} gives no other bound; say which one, such as 'at most 1,500 dollars per host'")
    anew = {(wish.metric, wish.op) for wish in said.intent.expectations}
    kept = tuple(wish for wish in intent.expectations if (wish.metric, wish.op) not in anew)
    words = f"{intent.text}; {said.intent.text}"[: guards.TEXT_LIMIT]
    return Reading(
        intent.model_copy(update={"text": words, "expectations": (*kept, *said.intent.expectations)}), said.findings, said.reader
    )


def _requests(intent: Intent, before: Reading, about: str, text: str) -> list[str]:
    out = []
    for index, question in enumerate(before.intent.questions):
        span = before.spans.get(f"questions/{index}")
        if question.about == about and span is not None:
            start, end = span
            out.append(f"{intent.text[:start]}{text}{intent.text[end:]}")
            lead = intent.text[:start].rstrip()
            if lead.lower().endswith(" by"):
                # "cool them by 5 degrees" answered with a level.
                out.append(f"{lead[:-3]} to {text}{intent.text[end:]}")
    return [*out, f"{intent.text.rstrip('.')} {text}", f"{text} {intent.text}"]


def _beside(intent: Intent, about: str, alone: Reading) -> Reading:
    """Put what the answer says beside what was clear, and let the question go."""
    left = tuple(item for item in intent.questions if item.about != about)
    merged = intent.model_copy(
        update={
            "text": f"{intent.text}; {alone.intent.text}"[: guards.TEXT_LIMIT],
            "expectations": tuple(dict.fromkeys((*intent.expectations, *alone.intent.expectations))),
            "objective": intent.objective or alone.intent.objective,
            "scope": tuple(dict.fromkeys((*intent.scope, *alone.intent.scope))),
            "window": intent.window or alone.intent.window,
            "settings": {**intent.settings, **alone.intent.settings},
            "questions": left,
        }
    )
    return Reading(merged, alone.findings, alone.reader)
