"""The cost of a pod is held against the fully connected pod, by number and in words."""

import pytest

from policies.intent.assure import assure
from policies.intent.check import check
from policies.intent.compile import compile_intent
from policies.intent.interpret.reader import Site
from policies.intent.judge import bound_of, judge
from policies.intent.model import Expectation, Intent, read_back
from policies.intent.references import AGAINST, POD_COST, against, plain_pod_usd_per_host, references, settled, unpriced
from twin.memory.settings import Settings

DEARER = Expectation(metric=POD_COST, op="<=", value=0.1, relative=True)
ASKED = Intent(kind="functional", expectations=(DEARER,))
V1 = Settings(prices="v1-calibrated")


def test_the_plain_pod_costs_what_the_papers_tables_say() -> None:
    # 8 devices of 8 ports on 8 hosts with 8 cables each of 29 USD: 1,276 + 232 fitted to v1's 17 %, 2,650 + 232 as recalled of v3.
    assert plain_pod_usd_per_host("v1-calibrated", 0.0) == pytest.approx(1508.0)
    assert plain_pod_usd_per_host("v3-recalled", 0.0) == pytest.approx(2882.0)


@pytest.mark.parametrize(("value", "op", "bound"), [(0.1, "<=", 1658.8), (-0.17, "<=", 1251.64), (0.0, "<=", 1508.0)])
def test_a_change_of_a_pods_cost_becomes_a_bound_by_itself(value: float, op: str, bound: float) -> None:
    wish = DEARER.model_copy(update={"value": value, "op": op})
    held = settled(Intent(expectations=(wish,)), references(V1)).expectations[0]
    assert not held.relative
    assert held.value == pytest.approx(bound)


def test_other_changes_stay_changes_against_today() -> None:
    wish = Expectation(metric="serving.cost_usd_per_h", op="<=", value=-0.2, relative=True)
    intent = Intent(expectations=(wish,))
    assert settled(intent, references(V1)) == intent
    assert against(wish.metric) == "today"
    assert bound_of(wish, 1000.0) == 800.0


def test_it_is_read_back_against_the_fully_connected_pod_with_its_price() -> None:
    assert read_back(ASKED) == f"Design: keep pod cost per host at most 10.0\u00a0% higher than {AGAINST[POD_COST]}."
    assert f"higher than {AGAINST[POD_COST]}, 1508\u00a0USD." in read_back(ASKED, references(V1))


@pytest.mark.parametrize(("costs", "standing"), [(1658.0, "met"), (1660.0, "broken"), (None, "unknown")])
def test_a_run_is_judged_against_the_plain_pod_and_not_against_todays_nothing(costs: float | None, standing: str) -> None:
    row = judge(ASKED, lambda *_: 0.0, lambda *_: costs, references(V1))[0]
    assert (row.standing, row.today) == (standing, 0.0)
    assert row.bound == pytest.approx(1658.8)
    assert assure([("I-01", 1, ASKED)], lambda *_: 0.0, lambda *_: costs, references(V1))[0].standing == standing


def test_without_the_plain_pod_a_change_of_cost_says_nothing() -> None:
    assert bound_of(DEARER, 0.0) is None
    assert judge(ASKED, lambda *_: 0.0, lambda *_: 1000.0)[0].standing == "unknown"


def test_a_site_that_cannot_price_the_plain_pod_is_asked_about_it(site: Site) -> None:
    unknown = Site(site.entities, memory=Settings(prices="import:nothing"))
    assert references(unknown.memory)(POD_COST) is None
    assert "nothing" in unpriced(unknown.memory)
    asked = [finding for finding in compile_intent(ASKED, unknown).findings if finding.severity == "question"]
    assert [finding.about for finding in asked] == [POD_COST]
    assert check(ASKED, unknown) == []


def test_prices_of_the_site_decide(site: Site) -> None:
    def bounds(prices: str) -> list[float]:
        found = compile_intent(ASKED, Site(site.entities, memory=Settings(prices=prices)))
        return [target["bound"] for target in found.policy.levers["pod_topology"][0].knobs["targets"]]  # type: ignore[index,union-attr]

    assert bounds("v1-calibrated") == pytest.approx([1658.8])
    assert bounds("v3-recalled") == pytest.approx([3170.2])
