"""The language-model investigator: tool calls, observations, limits."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from policies import llm
from policies.systems.react_rca import submitted, telling
from policies.systems.react_rca.knobs import ReactRcaKnobs
from policies.systems.react_rca.trace import Trace
from twin.incidents.levers import InvestigationObservation
from twin.incidents.tools import ErrorKind, Reply, Tool
from twin.incidents.toolset import SUBMIT
from twin.incidents.trajectory import MOST_STEPS, Hypothesis, Investigation, Status

# What each variant may call beside submit; None is every tool there is.
_MAY: Final[Mapping[str, frozenset[str] | None]] = {
    "react": None,
    "react_retrieval": frozenset(("incident_details", "history_search", "history_get")),
    "interleaved_retrieval": frozenset(("history_search",)),
    "chain_of_thought": frozenset(),
    "retrieval": frozenset(),
}
_NUDGE: Final = "You made this very call before and got the same answer; look elsewhere or submit. "
_STALLED: Final = 3
_ACTION: Final = re.compile(r"Action\s*:\s*([A-Za-z_]\w*)\s*\n+\s*Action Input\s*:\s*", re.IGNORECASE)
_THOUGHT: Final = re.compile(r"Thought\s*:\s*(.*?)(?=\n\s*Action\s*:|\Z)", re.IGNORECASE | re.DOTALL)


@dataclass(slots=True)
class _Spent:
    """What a conversation took so far."""

    tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0
    records: list[dict[str, Any]] = field(default_factory=list)

    def add(self, reply: llm.Reply) -> None:
        self.tokens += reply.tokens_in + reply.tokens_out
        self.usd += reply.cost_usd or 0.0
        self.seconds += reply.latency_s
        self.records.append(reply.record())

    def over(self, knobs: ReactRcaKnobs) -> str:
        if self.tokens >= knobs.most_tokens:
            return f"budget: {self.tokens:,} tokens of {knobs.most_tokens:,}"
        if self.usd >= knobs.budget_usd:
            return f"budget: {self.usd:.4f} USD of {knobs.budget_usd:g}"
        return f"budget: {self.seconds:.0f} s of {knobs.timeout_s:g}" if self.seconds >= knobs.timeout_s else ""


class ModelDriver:
    """Lets a language model investigate one incident with the same tools and the same limits as the embedded driver."""

    def __init__(self, knobs: ReactRcaKnobs, seen: InvestigationObservation, model: str) -> None:
        self._knobs = knobs
        self._seen = seen
        self._model = model
        self._trace = Trace(seen.tools)
        self._spent = _Spent()
        self._made: dict[str, int] = {}
        self._similar: list[str] = []
        self._submission: submitted.Submission | None = None
        may = _MAY[knobs.variant]
        ours = [tool for tool in seen.tools.tools if tool.name != SUBMIT.name and (may is None or tool.name in may)]
        self._tools: tuple[Tool, ...] = (*ours, SUBMIT)

    def investigate(self, holder: str) -> Investigation:
        """Return the draft; the verifier has not seen it yet."""
        stop = self._converse()
        told = self._submission
        status: Status = "inconclusive" if told is None else told.status
        found: tuple[Hypothesis, ...] = () if told is None else told.found()
        return Investigation(
            incident_id=self._seen.incident.incident_id,
            as_of_s=self._seen.tools.as_of_s,
            holder=holder,
            driver=f"llm:{self._model}",
            steps=tuple(self._trace.steps),
            hypotheses=found,
            status=status,
            ruled_out=() if told is None else told.ruled_out,
            stop_reason=stop,
            claims=0,
            unsupported=0,
            similar=tuple(self._similar),
            details={
                "variant": self._knobs.variant,
                "tokens": self._spent.tokens,
                "cost_usd": round(self._spent.usd, 6),
                "model_s": round(self._spent.seconds, 3),
                "calls": self._spent.records,
            },
        )

    def _converse(self) -> str:
        """Hold the conversation; return why it ended."""
        textual = not llm.calls_tools(self._model)
        shown = self._retrieved() if self._knobs.variant == "retrieval" else ""
        messages = telling.task(self._seen.incident, self._tools, textual, shown)
        silent = 0
        while len(self._trace.steps) < MOST_STEPS:
            over = self._spent.over(self._knobs)
            if over:
                return over
            try:
                turn = self._ask(messages, textual)
            except llm.ModelError as error:
                return str(error)
            self._spent.add(turn.reply)
            messages.append(dict(turn.message))
            calls = _textual_calls(turn.reply.text) if textual else turn.calls
            if not calls:
                silent += 1
                if silent == _STALLED:
                    return "stalled: it called no tool three times"
                messages.append({"role": "user", "content": "Call one tool, or submit."})
                continue
            ended = self._act(turn.reply, calls, messages, textual)
            if ended:
                return ended
        return f"{MOST_STEPS} steps without a submission"

    def _ask(self, messages: list[dict[str, Any]], textual: bool) -> llm.Turn:
        return llm.converse(
            messages,
            () if textual else telling.declared(self._tools),
            model=self._model,
            timeout_s=max(min(llm.TIMEOUT_S, self._knobs.timeout_s - self._spent.seconds), 1.0),
            budget_usd=self._knobs.budget_usd - self._spent.usd,
        )

    def _act(self, reply: llm.Reply, calls: tuple[llm.ToolCall, ...], messages: list[dict[str, Any]], textual: bool) -> str:
        """Carry out the calls of a turn and hand back what they gave; return why the conversation ends, empty to go on."""
        thought = _thought(reply.text) if textual else reply.text
        tokens = (reply.tokens_in, reply.tokens_out, reply.cost_usd or 0.0)
        for call in calls[: MOST_STEPS - len(self._trace.steps)]:
            told = self._one(call, thought, tokens)
            thought, tokens = "", (0, 0, 0.0)
            if self._submission is not None:
                return "submitted"
            if textual:
                messages.append({"role": "user", "content": f"Observation: {told}"})
            else:
                messages.append({"role": "tool", "tool_call_id": call.call_id, "content": told})
            if max(self._made.values(), default=0) >= _STALLED:
                return "stalled: it made the same call three times"
        return ""

    def _one(self, call: llm.ToolCall, thought: str, tokens: tuple[int, int, float]) -> str:
        """Carry out one call and note the step; return what the model is told."""
        arguments, problem = _arguments(call.arguments)
        if not problem and call.name not in {tool.name for tool in self._tools}:
            problem = f"there is no tool {call.name[:60]!r}; there are {', '.join(tool.name for tool in self._tools)}"
        kind: ErrorKind = "unknown tool" if problem.startswith("there is") else "bad arguments"
        if not problem and call.name == SUBMIT.name:
            try:
                self._submission = submitted.read(arguments)
            except ValueError as error:
                problem = str(error)
            else:
                self._trace.note(thought, call.name, arguments, "submitted", tokens=tokens)
                return "submitted"
        key = json.dumps([call.name, arguments or call.arguments], sort_keys=True)
        self._made[key] = self._made.get(key, 0) + 1
        again = _NUDGE if self._made[key] == 2 else ""
        if problem:
            told = again + f"ERROR ({kind}): {problem}"
            self._trace.note(thought, call.name[:60], arguments, told, error_kind=kind, tokens=tokens)
            return told
        reply = self._seen.tools.call(call.name, arguments)
        self._remember(reply)
        told = again + telling.observation(reply, () if self._knobs.discussions else ("checked",))
        self._trace.note(thought, call.name, arguments, told, reply, tokens=tokens)
        return told

    def _remember(self, reply: Reply) -> None:
        if reply.tool == "history_search" and reply.ok and "incident_id" in reply.rows.columns:
            self._similar += [name for name in reply.rows["incident_id"].to_list() if name not in self._similar]

    def _retrieved(self) -> str:
        """Return the nearest incidents, as the retrieval baseline shows them at once."""
        incident = self._seen.incident
        asked = {"query": f"{incident.title} {incident.text}"[:800], "k": self._knobs.neighbours}
        reply = self._seen.tools.call("history_search", asked)
        self._remember(reply)
        told = telling.observation(reply, () if self._knobs.discussions else ("checked",))
        self._trace.note("", "history_search", asked, told, reply)
        return f"The nearest resolved incidents:\n{told}\nSubmit the likeliest cause."


def _arguments(text: str) -> tuple[dict[str, Any], str]:
    try:
        given = json.loads(text or "{}")
    except ValueError:
        return {}, "the arguments are no JSON; give one JSON object"
    return (given, "") if isinstance(given, dict) else ({}, "the arguments are no JSON object; give one")


def _textual_calls(text: str) -> tuple[llm.ToolCall, ...]:
    """Return the first action that a text names; what it goes on to imagine as an observation is not read."""
    found = _ACTION.search(text)
    if found is None:
        return ()
    rest = text[found.end() :].lstrip("`json \n")
    try:
        _, end = json.JSONDecoder().raw_decode(rest)
    except ValueError:
        end = len(rest)
    return (llm.ToolCall("text", found.group(1), rest[:end]),)


def _thought(text: str) -> str:
    found = _THOUGHT.search(text)
    return found.group(1).strip() if found else text.strip()
