"""Chains of messages, their lanes, the day that they are part of."""

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from app.charts import chain_table, chains, messages
from app.charts.chain_dots import chain_svg
from app.charts.curve_above import Curve
from app.charts.day_counts import BINS, counted, day_counts_svg
from app.charts.timeline import Span
from app.charts.tokens import DARK, LIGHT, Tokens

MADE = runpy.run_path(str(Path(__file__).resolve().parents[2] / "negotiated.py"))
BEGIN_S = MADE["BEGIN_S"]
WINDOW = (BEGIN_S - 80.0, BEGIN_S + 400.0)


@pytest.fixture(scope="module")
def made() -> dict[str, pl.DataFrame]:
    return MADE["frames"]()


def _scene(made: dict[str, pl.DataFrame], span: Span, **more: Any) -> messages.Scene:
    inside = made["messages"].filter(pl.col("t_s").is_between(*WINDOW))
    return messages.Scene(**{"messages": inside, "workloads": MADE["WORKLOADS"], "window": WINDOW, "clock": span.clock, "chain": 0, **more})


def test_a_chain_is_told_from_its_cause_to_what_it_brought(made: dict[str, pl.DataFrame]) -> None:
    mine = made["messages"].filter(pl.col("chain_id") == 0)
    dots = chains.steps(mine)
    assert [dot.title.replace("\u00a0", " ") for dot in dots] == ["Power emergency", "Four notices", "Answers", "Shut", "10.0 kW back"]
    assert dots[2].under == "6 yes, 6 no, 9 silent"
    assert [dot.t_s for dot in dots] == sorted(dot.t_s for dot in dots if dot.t_s is not None)
    assert chains.title(mine).replace("\u00a0", " ") == "From cause to effect: four notices brought 10.0 kW back in 3.83 min"


def test_a_chain_without_notices_says_that_nothing_followed(made: dict[str, pl.DataFrame]) -> None:
    first = made["messages"].filter(pl.col("message_id") == 0)
    assert chains.title(first) == "Power emergency, and nothing followed"
    assert [dot.t_s for dot in chains.steps(first)][1:] == [None] * 4


def test_the_table_of_a_chain_adds_up_to_its_effect(made: dict[str, pl.DataFrame]) -> None:
    found = chain_table.table(made["messages"].filter(pl.col("chain_id") == 0), made["notices"])
    assert sum(row["returned"] or 0.0 for row in found) == pytest.approx(10e3)
    leads = {row["workload_id"]: row["lead_s"] for row in found}
    assert leads == {"web-frontend": None, "ml-training": 103.0, "dev-test": 30.0, "search": 13.0}


def test_the_page_opens_on_what_could_not_wait(made: dict[str, pl.DataFrame]) -> None:
    found = chains.summary(made["messages"])
    every = made["messages"]["chain_id"].unique()
    assert chains.nearest(found, every, 0.0) == 0
    assert chains.nearest(found, pl.Series([14, 20]), 0.0) == 14
    assert chains.nearest(found, pl.Series([], dtype=pl.Int64), BEGIN_S + 5000.0) == 14
    assert chains.beside(found, BEGIN_S, 0) == (None, 14)
    assert chains.beside(found, BEGIN_S + 9000.0, None) == (14, None)


def test_of_a_chain_that_outlasts_the_window_its_cause_and_the_window_are_told(made: dict[str, pl.DataFrame]) -> None:
    mine = made["messages"].filter(pl.col("chain_id") == 0)
    part = chains.episode(mine, (BEGIN_S + 110.0, BEGIN_S + 130.0))
    assert part["message_id"].to_list() == [0, 7, 10]
    assert chains.episode(mine, (BEGIN_S, BEGIN_S + 400.0)).equals(mine)


def test_a_filter_keeps_chains_with_an_answer(made: dict[str, pl.DataFrame]) -> None:
    ignored = chains.kept(made["messages"], (), "", "ignored")
    assert set(ignored["chain_id"]) == {0}
    assert set(chains.kept(made["messages"], ("hint",), "search", "")["kind"]) == {"hint"}


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=lambda one: one.theme)
@pytest.mark.parametrize("frame", [messages.WIDE, messages.NARROW], ids=["wide", "narrow"])
def test_hints_go_up_and_notices_go_down(made: dict[str, pl.DataFrame], span: Span, tokens: Tokens, frame: messages.Frame) -> None:
    svg = messages.messages_svg(_scene(made, span), tokens, "said", frame=frame)
    for says, down in ((r"notice, power emergency", True), (r"hint, [a-z ]+", False)):
        group = re.search(rf'<g data-pick="\d+" data-says="[^"]*{says}[^"]*"[^>]*>(.*?)</g>', svg)
        assert group is not None
        y1, y2 = (float(found) for found in re.search(r'<line x1="[\d.]+" y1="([\d.]+)" x2="[\d.]+" y2="([\d.]+)"', group[1]).groups())  # type: ignore[union-attr]
        assert (y2 > y1) == down


def test_arrows_never_slant_and_stay_inside(made: dict[str, pl.DataFrame], span: Span) -> None:
    svg = messages.messages_svg(_scene(made, span), LIGHT, "said")
    for group in re.findall(r"<g data-pick=.*?</g>", svg):
        for x1, x2 in re.findall(r'<line x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)"', group):
            assert x1 == x2
            assert messages.WIDE.left <= float(x1) <= messages.WIDE.right


def test_words_of_workloads_never_become_markup(made: dict[str, pl.DataFrame], span: Span) -> None:
    nasty = made["messages"].head(20).with_columns(pl.lit("<script>x</script>\"'").alias("words"), pl.lit("<b>").alias("workload_id"))
    svg = messages.messages_svg(_scene(made, span, messages=nasty, workloads=("<b>",), window=(0.0, 86_400.0)), LIGHT, "<i>")
    assert "<script" not in svg
    assert "<b>" not in svg
    assert "<i>" not in svg


def test_in_a_crowd_the_words_of_others_are_left_to_the_pointer(made: dict[str, pl.DataFrame], span: Span) -> None:
    whole = _scene(made, span, messages=made["messages"], window=(0.0, 86_400.0), chain=None)
    svg = messages.messages_svg(whole, LIGHT, "said")
    assert "vm priority of" not in re.sub(r'data-says="[^"]*"', "", svg)
    assert "vm priority of" in svg


def test_the_curve_shows_the_bound_today_and_where_the_run_ends_up(made: dict[str, pl.DataFrame], span: Span) -> None:
    t_s = np.arange(0.0, 86_400.0, 60.0)
    curve = Curve("Row 4", "x_w", t_s, np.full(1440, 281e3), (t_s, np.full(1440, 291e3)), 285e3, "budget")
    svg = messages.messages_svg(_scene(made, span, curve=curve), LIGHT, "said")
    assert "Row 4, kW" in svg
    assert "budget 285" in svg
    assert ">281</text>" in svg
    assert f'stroke="{LIGHT.today}" stroke-width="1.5" stroke-dasharray="4 3"' in svg


def test_the_day_counts_every_message_once(made: dict[str, pl.DataFrame], span: Span) -> None:
    counts = counted(made["messages"], (0.0, 86_400.0))
    assert len(counts) == BINS
    assert sum(number for number, _ in counts) == made["messages"].height
    assert sum(more for _, more in counts) == made["messages"].filter(pl.col("kind") != "hint").height
    svg = day_counts_svg(counts, (0.0, 86_400.0), WINDOW, span.clock, LIGHT, at_s=BEGIN_S)
    assert f'data-from="0" data-to="86400" data-at="{BEGIN_S:.0f}"' in svg


def test_five_dots_wide_and_narrow(made: dict[str, pl.DataFrame], span: Span) -> None:
    dots = chains.steps(made["messages"].filter(pl.col("chain_id") == 0))
    for narrow in (False, True):
        svg = chain_svg(dots, span.clock, LIGHT, narrow=narrow)
        assert svg.count("<circle") == 5
        assert "13:43:20" in svg
