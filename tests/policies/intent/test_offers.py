"""Prices, evictions, requirements and notices in words: read, given to who holds offers, told what is kept and what is not."""

from dataclasses import replace

import pytest

from policies import catalogue
from policies.intent.compile import Compiled, compile_intent
from policies.intent.interpret.embedded import EmbeddedReader
from policies.intent.interpret.reader import Reading, Site
from policies.policy import PolicySet

SYSTEM = "workload_intelligence"


@pytest.fixture(scope="module")
def site(site: Site) -> Site:
    workloads = ("web-frontend", "search", "databases")
    return replace(site, entities={**site.entities, "workload": workloads}, tenants=(*workloads[:2], "chat-8b"))


def reading(text: str, site: Site) -> Reading:
    return EmbeddedReader().read(text, site)


def done(text: str, site: Site) -> Compiled:
    found = compile_intent(reading(text, site).intent, site)
    catalogue.check(found.policy, site.entities)
    return found


def held(policy: PolicySet) -> dict[str, dict[str, set[str]]]:
    return {lever: {each.system: {spec.id for spec in each.scope} for each in stack} for lever, stack in policy.levers.items()}


@pytest.mark.parametrize(
    ("text", "metric", "op", "value"),
    [
        ("cut customer prices by 40 %", "price_cut_share", ">=", 0.4),
        ("lower the price of our VMs by 30%", "price_cut_share", ">=", 0.3),
        ("make the VMs 30 % cheaper", "price_cut_share", ">=", 0.3),
        ("customer prices at most 60 % of on-demand", "price_cut_share", ">=", 0.4),
        ("no more than 20 evictions a day", "evictions", "<=", 20.0),
        ("give every VM its notice in time", "notices_honoured_share", ">=", 1.0),
        ("never break a hint's requirement", "broken_requirements", "<=", 0.0),
    ],
)
def test_what_operators_say_of_the_negotiation_is_read(text: str, metric: str, op: str, value: float, site: Site) -> None:
    found = reading(text, site)
    assert not found.findings
    assert [(wish.metric, wish.op, wish.value, wish.relative) for wish in found.intent.expectations] == [
        (f"workloads.{metric}", op, value, False)
    ]


@pytest.mark.parametrize(
    "text", ["raise customer prices by 10 %", "don't cut customer prices", "customer prices should not rise", "VMs 30 % cheaper than today"]
)
def test_prices_that_are_not_to_fall_are_asked_about_and_never_cut(text: str, site: Site) -> None:
    found = reading(text, site)
    assert not found.intent.expectations
    assert found.open_questions


@pytest.mark.parametrize("text", ["cheapest VMs", "VMs as cheap as possible"])
def test_the_cheapest_vms_are_those_whose_price_is_cut_the_most(text: str, site: Site) -> None:
    found = reading(text, site).intent.objective
    assert found is not None
    assert (found.metric, found.sense) == ("workloads.price_cut_share", "maximize")


@pytest.mark.parametrize("text", ["cut customer prices by 40 %", "no more than 20 evictions a day", "give every VM its notice in time"])
def test_whoever_asks_is_given_the_offers_and_nothing_else(text: str, site: Site) -> None:
    assert held(done(text, site).policy) == {"offers": {SYSTEM: set()}}


def test_a_bound_on_evictions_reaches_the_holder_and_one_on_prices_is_judged(site: Site) -> None:
    found = done("make the VMs 30 % cheaper without breaking a requirement, at most 50 evictions a day", site)
    targets = catalogue.knobs_of(found.policy)[SYSTEM].targets
    assert [(target.metric, target.op, target.bound) for target in targets] == [("workloads.evictions", "<=", 50.0)]
    said = {finding.about: finding.text for finding in found.findings}
    assert "is told where to stop" in said["workloads.evictions"]
    assert "judged on the twin" in said["workloads.price_cut_share"]
    assert "may worsen broken requirements" in said["workloads.broken_requirements"]
    assert "serves price cut and bounds evictions" in found.reasons[0][1]


def test_as_few_evictions_as_possible_is_no_reason_to_begin_with_them(site: Site) -> None:
    assert held(done("minimise evictions", site).policy) == {}


def test_what_is_asked_of_some_workloads_is_held_for_those_alone(site: Site) -> None:
    found = done("cut the prices of VMs by 20 % for web-frontend and search, at most 5 evictions a day", site).policy
    assert held(found) == {"offers": {SYSTEM: {"web-frontend", "search"}}}
    assert {spec.kind for spec in found.levers["offers"][0].scope} == {"workload"}


def test_offers_are_held_for_a_workload_or_an_endpoint_by_name(site: Site) -> None:
    for place, kind in (("search", "workload"), ("chat-8b", "endpoint")):
        found = done(f"use workload intelligence for the offers of {place}", site)
        assert [(spec.kind, spec.id) for spec in found.policy.levers["offers"][0].scope] == [(kind, place)]
        assert not found.findings
        assert catalogue.describe(found.policy, PolicySet())[0].endswith(
            f": Workload Intelligence for {place}, then opaque VMs, instead of opaque VMs"
        )


def test_offers_that_nobody_hears_are_told(site: Site) -> None:
    assert "No workload of this scenario negotiates" in done("cut customer prices by 40 %", replace(site, tenants=())).findings[-1].text
    assert "databases negotiates about nothing" in done("use workload intelligence for the offers of databases", site).findings[-1].text
    assert not done("use workload intelligence for the offers of databases", replace(site, tenants=None)).findings
