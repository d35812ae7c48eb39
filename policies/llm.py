"""The one door to language models: LiteLLM, lazily, bounded and recorded."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from io import StringIO
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Protocol

MODEL_VARIABLE: Final = "INTENTWIN_MODEL"
REPLY_LIMIT_BYTES: Final = 1_000_000
TIMEOUT_S: Final = 60.0
_ATTEMPTS: Final = 2
_PASSING: Final = frozenset({"APIConnectionError", "InternalServerError", "ServiceUnavailableError", "RateLimitError"})
Message = Mapping[str, str]


class ModelError(RuntimeError):
    """A model could not be asked or did not answer; one line that says what to do."""


class Provider(Protocol):
    """A reader inside this process that answers like a model."""

    def __call__(self, messages: Sequence[Message], schema: Mapping[str, Any] | None, model: str) -> str:
        """Return the text of the reply."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said and what it took. ``cost_usd`` is None where the model has no known price.

    ``prompt_hash`` and ``schema_hash`` identify what was asked without storing it.
    """

    text: str
    model: str
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    latency_s: float
    finish_reason: str
    prompt_hash: str
    schema_hash: str

    def record(self) -> dict[str, Any]:
        """Return the record of the call for the audit trail, as JSON; no key is ever part of it."""
        return {name: getattr(self, name) for name in self.__slots__}


def available() -> str | None:
    """Return the model that the environment names, None where only the embedded reader is there."""
    return os.environ.get(MODEL_VARIABLE, "").strip() or None


def register_provider(name: str, handler: Provider) -> None:
    """Let anything that speaks LiteLLM ask ``handler`` as ``name/…``; registering a name again replaces it."""
    litellm = _litellm()
    kept = [entry for entry in litellm.custom_provider_map if entry["provider"] != name]
    litellm.custom_provider_map = [*kept, {"provider": name, "custom_handler": _adapter(handler)}]


def complete(  # noqa: PLR0913 - limits of a call are its arguments
    messages: Sequence[Message],
    schema: Mapping[str, Any] | None = None,
    *,
    model: str,
    timeout_s: float = TIMEOUT_S,
    budget_usd: float | None = None,
    max_tokens: int = 4096,
    temperature: float = 0.0,
    home: Path | None = None,
) -> Reply:
    """Ask a model once and return its reply; the caller validates and stores it.

    Parameters
    ----------
    messages, schema
        What is asked, and the JSON schema of the reply where it must be JSON.
    model
        As LiteLLM names it; keys are read from the environment by LiteLLM alone.
    timeout_s, budget_usd, max_tokens
        Limits. A call whose largest possible price is above the budget is not made.
    temperature
        0 says the likeliest; 1 as the model would, differently each time.
    home
        Where LiteLLM may keep its token tables; its own folder otherwise.

    Raises
    ------
    ModelError
        One line: the endpoint is unreachable, refuses, times out, or replies with too much or nothing.
    """
    litellm = _litellm()
    if home is not None:
        os.environ.setdefault("CUSTOM_TIKTOKEN_CACHE_DIR", str(home / "tokens"))
    _within_budget(litellm, messages, model, max_tokens, budget_usd)
    asked = {"messages": [dict(message) for message in messages], "response_format": _response_format(schema), "max_tokens": max_tokens}
    began = perf_counter()
    answer = _ask(litellm, {**asked, "model": model, "temperature": temperature}, timeout_s)
    return _reply(litellm, answer, model, perf_counter() - began, messages, schema)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that a model wants called; ``arguments`` is the JSON text as it came, not yet checked."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation: what a model said, which tools it wants called, the message to append, and the call's record."""

    reply: Reply
    calls: tuple[ToolCall, ...]
    message: Mapping[str, Any]


def calls_tools(model: str) -> bool:
    """Return whether a model is known to call tools; where not, tools are told and asked for in text."""
    litellm = _litellm()
    try:
        with redirect_stdout(StringIO()):
            return bool(litellm.supports_function_calling(model=model))
    except Exception:
        # LiteLLM does not know the model at all; text always works.
        return False


def converse(  # noqa: PLR0913 - limits of a call are its arguments
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] = (),
    *,
    model: str,
    timeout_s: float = TIMEOUT_S,
    budget_usd: float | None = None,
    max_tokens: int = 2048,
    temperature: float = 0.0,
    home: Path | None = None,
) -> Turn:
    """Ask a model for its next turn; it may answer in words or ask for tools to be called.

    ``messages`` are as the chat protocol has them, tools' answers with role ``tool``. ``tools`` are function declarations (name,
    description, JSON schema as parameters). Limits, the record and ModelError are those of ``complete``.
    """
    litellm = _litellm()
    if home is not None:
        os.environ.setdefault("CUSTOM_TIKTOKEN_CACHE_DIR", str(home / "tokens"))
    asked: dict[str, Any] = {"messages": [dict(message) for message in messages], "max_tokens": max_tokens}
    declared = [{"type": "function", "function": dict(tool)} for tool in tools]
    if declared:
        # With any tool LiteLLM imports its gateway for MCP servers and fails (ModuleNotFoundError) where the package mcp is not installed,
        # which it does not bring. Only this flag of its own, no part of its interface, keeps it from that; our tools are plain functions.
        asked |= {"tools": declared, "tool_choice": "auto", "_skip_mcp_handler": True}
    _within_budget(litellm, [{"content": json.dumps(asked, default=str)}], model, max_tokens, budget_usd)
    began = perf_counter()
    answer = _ask(litellm, {**asked, "model": model, "temperature": temperature}, timeout_s)
    took_s = perf_counter() - began
    message = answer.choices[0].message
    calls = tuple(
        ToolCall(str(call.id), str(call.function.name or ""), str(call.function.arguments or "{}"))
        for call in getattr(message, "tool_calls", None) or ()
    )
    if sum(len(call.arguments) for call in calls) > REPLY_LIMIT_BYTES:
        raise ModelError(f"{model}: the reply is larger than {REPLY_LIMIT_BYTES:,} bytes and was dropped")
    reply = _reply(litellm, answer, model, took_s, messages, {"tools": declared} if declared else None, may_be_silent=bool(calls))
    back: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if calls:
        functions = [{"name": call.name, "arguments": call.arguments} for call in calls]
        back["tool_calls"] = [
            {"id": call.call_id, "type": "function", "function": function} for call, function in zip(calls, functions, strict=True)
        ]
    return Turn(reply, calls, back)


def _ask(litellm: Any, asked: dict[str, Any], timeout_s: float) -> Any:
    """Ask, and once more where the failure may pass and there is time left."""
    began = perf_counter()
    for attempt in range(_ATTEMPTS):
        left_s = timeout_s - (perf_counter() - began)
        try:
            # LiteLLM prints advice to standard output, which belongs to the command line's JSON. Its own retries need a
            # package that it does not bring, so max_retries is 0 and the second attempt is made here.
            with redirect_stdout(StringIO()):
                return litellm.completion(**asked, timeout=max(left_s, 0.1), max_retries=0)
        except Exception as error:
            passing = any(parent.__name__ in _PASSING for parent in type(error).__mro__)
            in_time = perf_counter() - began < 0.9 * timeout_s
            if attempt + 1 == _ATTEMPTS or not (passing and in_time):
                raise ModelError(_explain(error, asked["model"], timeout_s)) from None
    raise AssertionError("unreachable")


@cache
def _litellm() -> Any:
    # Read at import: without it a price list would be fetched from the network.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    try:
        import litellm
    except ImportError:
        raise ModelError(
            "the package litellm is not installed; install it, or leave INTENTWIN_MODEL unset for the embedded reader"
        ) from None
    litellm.suppress_debug_info = True
    litellm.drop_params = False
    return litellm


def _adapter(handler: Provider) -> Any:
    litellm = _litellm()

    class Adapter(litellm.CustomLLM):  # type: ignore[misc, name-defined]
        """Answers synchronously and asynchronously; LiteLLM takes the second way for fallbacks."""

        def completion(self, *args: Any, **kwargs: Any) -> Any:
            asked = kwargs.get("optional_params", {}).get("response_format") or {}
            schema = asked.get("json_schema", {}).get("schema")
            text = handler(kwargs["messages"], schema, kwargs["model"])
            answer = kwargs.get("model_response") or litellm.ModelResponse()
            answer.choices[0].message.content = text
            answer.choices[0].finish_reason = "stop"
            answer.usage = litellm.Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
            answer.model = kwargs["model"]
            return answer

        async def acompletion(self, *args: Any, **kwargs: Any) -> Any:
            return self.completion(*args, **kwargs)

    return Adapter()


def _response_format(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if schema is None:
        return None
    return {"type": "json_schema", "json_schema": {"name": str(schema.get("title", "reply")), "schema": dict(schema), "strict": True}}


def _within_budget(litellm: Any, messages: Sequence[Message], model: str, max_tokens: int, budget_usd: float | None) -> None:
    if budget_usd is None:
        return
    price = litellm.model_cost.get(model) or litellm.model_cost.get(model.partition("/")[2]) or {}
    # A token is hardly ever shorter than two characters; this overstates the price rather than counting tokens on the network.
    tokens_in = sum(len(message["content"]) for message in messages) / 2.0
    most = tokens_in * price.get("input_cost_per_token", 0.0) + max_tokens * price.get("output_cost_per_token", 0.0)
    if most > budget_usd:
        raise ModelError(f"{model}: the call could cost {most:.4f} USD, the budget is {budget_usd:.4f} USD; raise it or shorten the text")


def _reply(
    litellm: Any,
    answer: Any,
    model: str,
    latency_s: float,
    messages: Sequence[Mapping[str, Any]],
    schema: Mapping[str, Any] | None,
    *,
    may_be_silent: bool = False,
) -> Reply:
    choice = answer.choices[0]
    text = choice.message.content or ""
    if len(text.encode()) > REPLY_LIMIT_BYTES:
        raise ModelError(f"{model}: the reply is larger than {REPLY_LIMIT_BYTES:,} bytes and was dropped")
    if not text.strip() and not may_be_silent:
        raise ModelError(f"{model}: the reply is empty; try again or choose another model")
    usage = getattr(answer, "usage", None)
    return Reply(
        text=text,
        model=model,
        tokens_in=int(getattr(usage, "prompt_tokens", 0) or 0),
        tokens_out=int(getattr(usage, "completion_tokens", 0) or 0),
        cost_usd=_cost_usd(litellm, answer),
        latency_s=latency_s,
        finish_reason=str(choice.finish_reason),
        prompt_hash=_hash([dict(message) for message in messages]),
        schema_hash=_hash(schema),
    )


def _cost_usd(litellm: Any, answer: Any) -> float | None:
    hidden = getattr(answer, "_hidden_params", {}) or {}
    if hidden.get("response_cost") is not None:
        return float(hidden["response_cost"])
    try:
        return float(litellm.completion_cost(answer))
    except Exception:
        # LiteLLM knows no price for this model; there is nothing to report.
        return None


def _hash(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _explain(error: Exception, model: str, timeout_s: float) -> str:
    kind = type(error).__name__
    remedies = {
        "Timeout": f"no reply within {timeout_s:g} s; try again or set a longer time-out",
        "APITimeoutError": f"no reply within {timeout_s:g} s; try again or set a longer time-out",
        "AuthenticationError": "the endpoint refused the key; set the provider's key in the environment",
        "PermissionDeniedError": "the endpoint refused access to this model; check the account's rights",
        "NotFoundError": "the endpoint does not know this model; check INTENTWIN_MODEL",
        "RateLimitError": "the endpoint is over its rate limit; wait and try again",
        "APIConnectionError": "the endpoint cannot be reached; check its address and the network",
        "ServiceUnavailableError": "the endpoint is unavailable; try again later",
        "InternalServerError": "the endpoint cannot be reached or failed; check its address or try again later",
        "BadRequestError": "the endpoint does not accept the request; check the model's name and that it supports a JSON schema",
        "ContextWindowExceededError": "the text is too long for this model; shorten it",
    }
    for parent in type(error).__mro__:
        if parent.__name__ in remedies:
            return f"{model}: {remedies[parent.__name__]} ({kind})"
    return f"{model}: the call failed ({kind}); try again or leave {MODEL_VARIABLE} unset for the embedded reader"
