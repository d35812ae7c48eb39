from collections.abc import Callable
from typing import Any, get_args

import pytest

from policies.systems.octopus import fillings
from policies.systems.octopus.choose import answer
from policies.systems.octopus.knobs import OctopusKnobs
from policies.systems.octopus.options import Site
from policies.systems.octopus.survey import BESIDE, survey
from twin.memory import designs
from twin.memory.saving import Baseline

SHARES = ("of_ideal_share", "saved_share", "ideal_saved_share")


def test_a_survey_holds_all_that_octopus_would_choose_from_and_what_it_beats(seen: Callable[..., Any]) -> None:
    around, knobs = seen(), OctopusKnobs()
    whole, chosen = survey(knobs, around), answer(knobs, around)
    names = {option.name: option for option in whole.options}
    assert {option.name for option in chosen.front} < set(names)
    assert all(names[option.name].metrics == option.metrics for option in chosen.front)
    assert set(BESIDE) <= set(names)
    assert whole.against == around.settings.saving_against
    assert whole.days == 2.0


def test_a_survey_says_what_cannot_be_built_and_why(seen: Callable[..., Any]) -> None:
    found = survey(OctopusKnobs(), seen(prices="v1-calibrated"))
    built = {option.name for option in found.options}
    assert built
    assert built.isdisjoint(found.refused)
    assert all("\n" not in why and why for why in found.refused.values())


def test_a_survey_tells_how_far_it_is_and_stops_where_it_is_told_to(seen: Callable[..., Any]) -> None:
    heard: list[float] = []

    def told(share: float, text: str) -> None:
        heard.append(share)
        if len(heard) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        survey(OctopusKnobs(), seen(), told)
    assert heard == sorted(heard)
    assert heard[-1] < 1.0


def test_moving_on_overflow_turns_fewer_away_than_never_moving_and_more_headroom_moves_less(seen: Callable[..., Any]) -> None:
    site = Site.of(seen(), 0.05, True)
    found = fillings.compare(designs.parse("block-design-25x8n4").build(), site)
    never, moving = ({each.headroom_share: each for each in found if each.migrate == migrate} for migrate in (False, True))
    assert list(moving) == list(fillings.HEADROOMS)
    for headroom_share, each in moving.items():
        assert each.overflows_per_day <= never[headroom_share].overflows_per_day
        assert never[headroom_share].moved_bytes_per_day == 0.0
    moved = [moving[headroom_share].moved_bytes_per_day for headroom_share in fillings.HEADROOMS]
    assert moved[0] > 0.0
    assert moved == sorted(moved, reverse=True)


def test_without_a_limit_nobody_is_turned_away_and_nothing_saves_more_than_the_ideal(seen: Callable[..., Any]) -> None:
    found = fillings.compare(designs.parse("block-design-16x5n4").build(), Site.of(seen(), 0.05, True))
    assert found[0].headroom_share is None
    assert found[0].overflows_per_day == 0.0
    for each in found:
        told = each.told()
        assert all(set(told[name]) == set(get_args(Baseline)) for name in SHARES)
        assert all(each.saved_share[name] <= each.ideal_saved_share[name] + 1e-9 for name in get_args(Baseline))
