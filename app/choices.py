"""Answers that an open question offers, each tried before it is shown."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import streamlit as st

from twin.metrics import METRICS

AT_MOST: Final = 6
_LISTS: Final = (r": (?P<list>[^:;?]+)\?$", r"can hold (?P<list>[^;]+);", r"only (?P<list>[^;]+);")
_APART: Final = re.compile(r",? or |,? and |, ")


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer: what is written into the request, and how the request then reads."""

    words: str
    reads: str


def named(question: str) -> list[str]:
    """Return the answers that a question names.

    >>> named("Which is meant: hottest GPU, hottest inlet?")
    ['hottest GPU', 'hottest inlet']
    >>> named("Whose power: that of a row, or of the whole site?")
    ['row', 'whole site']
    """
    listed = [match["list"] for pattern in _LISTS for match in re.finditer(pattern, question)]
    words = [re.sub(r"^((that )?of )?(the |an? )?", "", part.strip()) for text in listed for part in _APART.split(text)]
    labels = [metric.label for metric in METRICS.values() if re.search(rf"\b{re.escape(metric.label)}\b", question)]
    return list(dict.fromkeys([*filter(None, words), *(label for label in labels if not any(label in word for word in words))]))


def choices(intent: dict[str, Any], about: str, question: str, scenario: str) -> list[Choice]:
    """Return the answers that settle a question, the same reading once; empty where it can only be answered in words."""
    return _choices(json.dumps(intent, sort_keys=True), about, question, scenario)


@st.cache_data(max_entries=64, show_spinner=False)
def _choices(intent_json: str, about: str, question: str, scenario: str) -> list[Choice]:
    from policies.intent.interpret.answers import answered
    from policies.intent.lifecycle import site_of
    from policies.intent.model import Intent, read_back
    from twin.scenario import load

    intent, site = Intent.model_validate_json(intent_json), site_of(load(scenario))
    found: dict[str, Choice] = {}
    noun = question.split(":")[0].rsplit(" ", 1)[-1]
    for words in named(question):
        for answer in (words, f"{words} {noun}"):
            try:
                read = answered(intent, about, answer, site).intent
            except ValueError:
                continue
            if _means(read, words):
                found.setdefault(read_back(read), Choice(answer, read_back(read)))
                break
    return list(found.values())[:AT_MOST] if len(found) > 1 else []


def _means(read: Any, words: str) -> bool:
    """Return whether an answer that is a metric's label was read as that metric."""
    metrics = [wish.metric for wish in read.expectations] + ([read.objective.metric] if read.objective else [])
    return all(metric.label != words for metric in METRICS.values()) or any(METRICS[name].label == words for name in metrics)
