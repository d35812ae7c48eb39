"""Histories are drawn by stated frequencies, tell no cause in their texts, and know nothing of what was held out."""

import re
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from twin.incidents import history, places
from twin.incidents.alerts import RULES
from twin.incidents.case import HISTORY, Incident
from twin.incidents.causes import CAUSES
from twin.incidents.effects import EFFECTS
from twin.incidents.phrases import SAID

UNTIL = 1.78e9


@pytest.fixture(scope="module")
def drawn() -> history.Drawn:
    return history.draw(6000, UNTIL, 1)


def test_the_same_arguments_draw_the_same_incidents_and_another_seed_others(drawn: history.Drawn) -> None:
    assert history.draw(6000, UNTIL, 1).incidents.equals(drawn.incidents)
    assert not history.draw(6000, UNTIL, 2).incidents.equals(drawn.incidents)


def test_incidents_are_in_order_have_an_end_before_the_present_and_one_id_each(drawn: history.Drawn) -> None:
    told = drawn.incidents
    assert tuple(told.columns) == HISTORY
    assert told.null_count().sum_horizontal().item() == 0
    assert told["incident_id"].n_unique() == told.height == 6000
    assert told["began"].is_sorted()
    assert (told["resolved"] > told["began"]).all()
    assert float(told["resolved"].max()) < UNTIL
    assert drawn.truth["incident_id"].to_list() == told["incident_id"].to_list()


def test_every_class_of_cause_has_its_effects_and_they_can_be_told() -> None:
    assert set(EFFECTS) == set(CAUSES)
    for name, effect in EFFECTS.items():
        assert sum(share for _, share in effect.opened_by) == pytest.approx(1.0), name
        for kind, metric, way in (symptom for symptom, _ in effect.opened_by):
            assert SAID[metric, way], name
            assert kind == places.kind_of(metric) or (kind, metric) == ("unit", "feeds.lost_share")
        assert all(SAID[metric, way] and 0.0 < share < 1.0 for metric, way, share in effect.seen), name
        assert set(effect.taken_for) <= set(EFFECTS) - {name}
        assert effect.mechanism
        assert effect.checked


def test_incidents_are_opened_by_what_alerts_watch_or_people_see() -> None:
    opened = {symptom[:2] for effect in EFFECTS.values() for symptom, _ in effect.opened_by}
    watched = {(rule.entity_kind, rule.metric) for rule in RULES}
    assert watched <= opened
    assert opened - watched == {("rack", "racks.inlet_c"), ("server", "servers.inlet_sensor_c")}


def test_causes_come_as_often_as_is_stated(drawn: history.Drawn) -> None:
    # Sites differ, and the mean over twelve of them wavers around what is stated: a factor of two is three of its deviations.
    whole = sum(effect.frequency for effect in EFFECTS.values())
    counts = dict(drawn.truth.group_by("cause").len().iter_rows())
    for name, effect in EFFECTS.items():
        assert 0.4 < counts[name] / drawn.truth.height / (effect.frequency / whole) < 2.0, name


def test_symptoms_are_those_that_the_cause_brings_about(drawn: history.Drawn) -> None:
    both = drawn.incidents.join(drawn.truth.rename({"cause": "true"}).select("incident_id", "true"), on="incident_id")
    for true, kind, metric in both.select("true", "entity_kind", "metric").unique().iter_rows():
        assert (kind, metric) in {symptom[:2] for symptom, _ in EFFECTS[true].opened_by}


def test_no_text_names_a_cause(drawn: history.Drawn) -> None:
    words = {name.replace("_", " ") for name in CAUSES} - {"none"} | {cause.title.lower() for cause in CAUSES.values()}
    words |= {
        "certificate",
        "deploy",
        "leak",
        "chiller",
        "air handler",
        "fell off",
        "burst",
        "storm",
        "flood",
        "neighbour",
        "drift",
        "blocked",
    }
    naming = re.compile("|".join(rf"\b{re.escape(word)}\b" for word in sorted(words)))
    texts = (drawn.incidents["title"] + " " + drawn.incidents["text"]).str.to_lowercase()
    assert not [text for text in texts if naming.search(text)]


def test_texts_are_varied(drawn: history.Drawn) -> None:
    told = drawn.incidents
    assert told["text"].n_unique() > 0.95 * told.height
    assert told["checked"].n_unique() > 0.3 * told.height
    assert not told["title"].str.contains(r"[{}]").any()
    assert not told["text"].str.contains(r"[{}]").any()
    assert not told["mechanism"].str.contains(r"[{}]").any()


def test_the_stated_share_of_records_is_wrong_and_says_so_only_in_the_truth(drawn: history.Drawn) -> None:
    differs = (drawn.incidents["cause"] != drawn.truth["cause"]).to_numpy()
    assert np.array_equal(differs, drawn.truth["wrong"].to_numpy())
    assert differs.mean() == pytest.approx(history.WRONG_SHARE, abs=0.012)
    assert not history.draw(500, UNTIL, 1, wrong_share=0.0).truth["wrong"].any()


def test_nothing_of_what_is_held_out_is_drawn_or_recorded() -> None:
    held = history.held_out(3)
    assert (len(held.causes), len(held.sites)) == (5, 3)
    assert "none" not in held.causes
    assert held == history.held_out(3) != history.held_out(4)
    drawn = history.draw(3000, UNTIL, 3, held)
    named = zip(drawn.incidents["cause"], drawn.incidents["site"], drawn.truth["cause"], strict=True)
    assert not [row for row in named if held.covers(row[0], row[1]) or held.covers(row[2], row[1])]
    assert set(drawn.truth["cause"]) == set(EFFECTS) - held.causes
    assert set(drawn.incidents["site"]) == set(places.SITES) - held.sites


@pytest.mark.parametrize(
    "act",
    [
        lambda: history.held_out(1, kinds=99),
        lambda: history.held_out(1, sites=11),
        lambda: history.draw(-1, UNTIL, 1),
        lambda: history.draw(1, UNTIL, 1, wrong_share=2.0),
        lambda: history.draw(1, UNTIL, 1, history.HeldOut(sites=frozenset(places.SITES))),
    ],
)
def test_what_cannot_be_drawn_is_refused(act: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"held out|history"):
        act()


def test_no_incidents_are_a_history_too() -> None:
    assert history.draw(0, UNTIL, 1).incidents.columns == list(HISTORY)


def incident(incident_id: str = "H-00002") -> Incident:
    return Incident(incident_id, "cart is late", "callers retry", "major", "service", "cart", "services.latency_p99_s", 60.0, 120.0, UNTIL)


def test_a_resolved_incident_becomes_part_of_the_history_and_replaces_what_was_said_before() -> None:
    drawn = history.draw(5, UNTIL, 1).incidents
    row = history.resolved_incident(incident(), "juniper", UNTIL + 600.0, "memory_leak", "it grew")
    after = history.joined(drawn, row)
    assert after.height == 5
    assert after.filter(pl.col("incident_id") == "H-00002").to_dicts() == row.to_dicts()
    assert after["began"].is_sorted()
    assert history.joined(drawn.head(0), row).equals(row)
    with pytest.raises(ValueError, match="resolved before it began"):
        history.resolved_incident(incident(), "juniper", UNTIL, "memory_leak")
