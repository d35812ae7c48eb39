"""Who keeps which bound by itself, and that it is said where nobody does."""

import pytest

from policies import catalogue
from policies.intent.compile import Compiled, compile_intent
from policies.intent.interpret.embedded import EmbeddedReader
from policies.intent.interpret.reader import Site
from policies.intent.model import Expectation, Intent
from policies.policy import ScopeSpec
from twin.metrics import METRICS

# A bound on every serving metric, who keeps it by itself, and who serves it otherwise.
BOUNDS = {
    "serving.ttft_p99_s": (0.5, "modserve", None),
    "serving.image_ttft_p99_s": (3.0, "modserve", None),
    "serving.atgt_p99_s": (0.06, "aladdin", None),
    "serving.slo_attainment_share": (0.99, "aladdin", None),
    "serving.gpus_mean": (200.0, "reactive", None),
    "serving.cost_usd_per_h": (500.0, "reactive", None),
    "serving.quality_mean_share": (0.8, "model_choice", None),
    "serving.tbt_p99_s": (0.04, None, "prefill_decode"),
    "serving.throughput_per_s": (30.0, None, "modserve"),
    "serving.cost_usd_per_million_tokens": (2.0, None, "reactive"),
    "serving.ttft_p50_s": (0.2, None, None),
    "serving.e2e_p99_s": (20.0, None, None),
}
CHAT = (ScopeSpec(kind="endpoint", id="chat-70b"),)


def compiled(site: Site, *wishes: Expectation, **rest: object) -> Compiled:
    done = compile_intent(Intent.model_validate({"expectations": wishes, **rest}), site)
    catalogue.check(done.policy, site.entities)
    return done


def wish(metric: str, value: float, **rest: object) -> Expectation:
    op = "<=" if METRICS[metric].better == "lower" else ">="
    return Expectation.model_validate({"metric": metric, "op": op, "value": value, **rest})


def targets(done: Compiled) -> set[tuple[str, str, float]]:
    knobs = catalogue.knobs_of(done.policy)
    return {(system, target.metric, target.bound) for system, mine in knobs.items() for target in mine.targets}


def test_every_serving_metric_is_in_the_table() -> None:
    assert {name for name in METRICS if name.startswith("serving.")} == set(BOUNDS)


@pytest.mark.parametrize("metric", BOUNDS)
def test_a_bound_is_kept_by_its_holder_or_it_is_said_that_nobody_does(metric: str, site: Site) -> None:
    value, keeper, server = BOUNDS[metric]
    scope = () if metric == "serving.image_ttft_p99_s" else CHAT
    done = compiled(site, wish(metric, value), scope=scope)
    said = [item for item in done.findings if item.about == metric]
    if keeper is not None:
        assert targets(done) == {(keeper, metric, value)}
        assert not said
        assert "told to keep it" in " ".join(done.reason_words())
        return
    assert targets(done) == set()
    assert [item.severity for item in said] == ["info"]
    assert "told to keep it" not in " ".join(done.reason_words())
    held = {item.system for stack in done.policy.levers.values() for item in stack}
    assert held == ({server} if server is not None else set())
    if server is None:
        assert "it is judged, not steered" in said[0].text
    else:
        assert "judged on the twin and not kept by the policy itself" in said[0].text
        assert f"{catalogue.card(server).name} only moves it that way. Exploring tries settings against it." in said[0].text
        assert "judged on the twin" in " ".join(done.reason_words())


@pytest.mark.parametrize("metric", [name for name, (_, keeper, _) in BOUNDS.items() if keeper is not None])
def test_another_bound_is_another_policy_where_it_is_kept(metric: str, site: Site) -> None:
    bound = BOUNDS[metric][0]
    assert compiled(site, wish(metric, bound)).policy != compiled(site, wish(metric, bound * 0.9)).policy


def test_nobody_is_told_a_bound_that_it_does_not_read(site: Site) -> None:
    """ModServe is asked for the first token; throughput beside it is judged, not handed over as a target that nothing reads."""
    done = compiled(site, wish("serving.ttft_p99_s", 0.5), wish("serving.throughput_per_s", 30.0))
    assert targets(done) == {("modserve", "serving.ttft_p99_s", 0.5)}
    words = " ".join(done.reason_words())
    assert "told to keep it at or below 500" in words
    assert "judged on the twin: at or above 30" in words


def test_a_change_against_a_value_that_is_not_known_is_told_and_one_that_is_known_is_kept(site: Site) -> None:
    asked = Intent(expectations=(wish("serving.cost_usd_per_h", -0.2, relative=True),))
    unknown, known = compile_intent(asked, site), compile_intent(asked, site, today=lambda metric, scope, window: 1000.0)
    assert (targets(unknown), [item.about for item in unknown.findings]) == (set(), ["serving.cost_usd_per_h"])
    assert (targets(known), known.findings) == ({("reactive", "serving.cost_usd_per_h", 800.0)}, ())


def test_a_bound_that_two_holders_share_is_said_to_be_shared(site: Site) -> None:
    done = compiled(site, wish("serving.image_ttft_p99_s", 3.0), wish("serving.gpus_mean", 200.0))
    gpus = {(system, bound) for system, metric, bound in targets(done) if metric == "serving.gpus_mean"}
    assert gpus == {("reactive", 200.0), ("modserve", 200.0)}
    assert ["each keeps to its share" in item.text for item in done.findings if item.about == "serving.gpus_mean"] == [True]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("use aladdin on chat-70b and ATGT under 60 ms on chat-70b", {("aladdin", "serving.atgt_p99_s", 0.06)}),
        ("use modserve on chat-70b and at most 20 GPUs on chat-70b", {("modserve", "serving.gpus_mean", 20.0)}),
        ("use tapas routing and GPUs under 80 C", {("tapas", "plant.gpu_temp_max_c", 80.0)}),
    ],
)
def test_a_holder_chosen_by_name_is_told_the_bounds_that_it_keeps(text: str, expected: set[tuple[str, str, float]], site: Site) -> None:
    done = compile_intent(EmbeddedReader().read(text, site).intent, site)
    catalogue.check(done.policy, site.entities)
    assert targets(done) == expected
    for stack in done.policy.levers.values():
        assert len({held.system for held in stack}) == len(stack)


def test_a_holder_chosen_by_name_that_keeps_no_bound_is_no_promise(site: Site) -> None:
    settings = {"instance_scaling": {"system": "static_peak", "instances": 12}}
    done = compiled(site, wish("serving.gpus_mean", 100.0), settings=settings)
    assert targets(done) == set()
    assert "not kept by the policy itself." in next(item.text for item in done.findings if item.about == "serving.gpus_mean")


@pytest.mark.parametrize("card", catalogue.cards().values(), ids=lambda card: card.id)
def test_a_card_enforces_only_what_it_serves_or_costs(card) -> None:  # type: ignore[no-untyped-def]
    assert set(card.enforces) <= {*card.serves, *card.costs}
    # Whoever decides once, before anything is known of the run, or when it is over, can keep no bound: the twin judges it.
    kinds = {catalogue.levers()[lever].kind for lever in card.levers}
    outside = kinds in ({"at the start"}, {"afterwards"}) and card.answer is None
    assert card.enforces or card.paper is None or outside
