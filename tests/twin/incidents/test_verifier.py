"""What is claimed must be what the cited evidence says."""

from decimal import Decimal

import polars as pl
import pytest

from twin.incidents.case import Incident
from twin.incidents.tools import Reply
from twin.incidents.trajectory import Hypothesis, Investigation, Statement
from twin.incidents.verifier import check, verify

INCIDENT = Incident("i", "late", "", "major", "service", "front", "services.latency_p99_s", 3600.0, 3700.0, 1.7e9)
SCAN = pl.DataFrame(
    {
        "entity": ["cart", "pay", "rack-12"],
        "metric": ["services.cpu_share", "services.cpu_share", "racks.inlet_c"],
        "before": [0.412, 0.3, 23.04],
        "after": [0.957, 0.2, 31.46],
        "onset_s": [3540.0, 3550.0, 3300.0],
    }
)
LOGS = pl.DataFrame({"time": [3500.0], "entity": ["front"], "kind": ["XID 79 on bus"], "words": ["calling pay: 1,280 refused"]})


class Kept:
    """Evidence as it was answered, and a topology in which front calls cart and pay, and cart runs on rack-12."""

    tools, as_of_s = (), 7200.0
    edges = (("front", "cart"), ("front", "pay"), ("cart", "rack-12"))

    def evidence(self, evidence_id):
        if evidence_id == "E5":
            asked = "SELECT 'cart' AS entity, 0.97 AS after, sum(count) AS lines FROM logs"
            rows = pl.DataFrame({"entity": ["cart"], "after": [0.97], "lines": [Decimal(412)]})
            return Reply("E5", "sql", {"query": asked}, True, rows, "", sql=asked)
        rows = {"E1": SCAN, "E2": LOGS, "E3": SCAN.clear()}
        if evidence_id == "E4":
            return Reply("E4", "sql", {}, False, pl.DataFrame(), "", error_kind="refused")
        return Reply(evidence_id, "any", {}, True, rows[evidence_id], "") if evidence_id in rows else None

    def call(self, name, arguments):
        here = 0 if arguments.get("direction") == "depends_on" else 1
        pairs = [pair for pair in self.edges if name == "topology" and pair[here] == arguments["entity"]]
        rows = pl.DataFrame(pairs, schema={"source": pl.String, "target": pl.String}, orient="row")
        return Reply("E9", name, arguments, True, rows, "")


def said(words, entity="cart", evidence=("E1",), **more):
    return check(Statement(words, entity, evidence, **more), Kept())


@pytest.mark.parametrize(
    "words",
    [
        "services.cpu_share of cart rose from 0.41 to 0.957",
        "services.cpu_share of cart rose to 96 %",
        "cart got busier at 3540 s",
        "cart, on which front hangs, got busier",
    ],
)
def test_what_the_rows_say_is_supported(words):
    assert said(words).supported, said(words).why


@pytest.mark.parametrize(
    ("words", "entity", "evidence", "why"),
    [
        ("cart is slow", "cart", (), "cites nothing"),
        ("cart is slow", "cart", ("E8",), "E8 was never answered"),
        ("cart is slow", "cart", ("E3",), "empty, which proves nothing"),
        ("cart is slow", "cart", ("E4",), "E4 is an error: refused"),
        ("search is slow", "search", ("E1",), "search is named in nothing"),
        ("services.cpu_share of cart rose to 0.99", "cart", ("E1",), "0.99 is in nothing"),
        ("services.cpu_share of cart rose to 0.9571", "cart", ("E1",), "0.9571 is in nothing"),
        ("services.cpu_share of cart rose to 0.2", "cart", ("E1",), "0.2 is in nothing"),
        ("services.cpu_share of pay rose", "pay", ("E1",), "did not rise"),
        ("cart suffers from rack-99", "cart", ("E1",), "rack-99 is named in nothing"),
        ("services.memory_share of cart rose", "cart", ("E1",), "memory_share is named in nothing"),
    ],
)
def test_what_the_rows_do_not_say_is_not(words, entity, evidence, why):
    found = said(words, entity, evidence)
    assert found.supported is False
    assert why in found.why


def test_digits_in_names_are_no_numbers_and_numbers_in_texts_count():
    assert said("racks.inlet_c of rack-12 rose to 31.5", "rack-12").supported
    assert said("XID 79 on bus was logged at front, 3500 s; 1,280 calls were refused", "front", ("E2",)).supported
    assert said("who is called stands in the words", "pay", ("E2",)).supported


def _draft(*hypotheses, status="confirmed"):
    return Investigation("i", 7200.0, "h", "d", (), hypotheses, status, (), "submitted", 0, 0)


def _cause(entity="cart", path=("cart", "front"), onset_s=3540.0, words="cart rose", evidence=("E1",), score=0.9):
    return Hypothesis("service", entity, "bad_deployment", "m", path, onset_s, score, (Statement(words, entity, evidence),))


def test_claims_are_counted_before_anything_is_dropped():
    found = verify(_draft(_cause(), _cause("pay", ("pay", "front"), words="pay fell to 7")), INCIDENT, Kept())
    assert (found.claims, found.unsupported) == (6, 1)
    assert [item.entity_id for item in found.hypotheses] == ["cart"]
    assert found.details["dropped"][0]["why"] == "7 is in nothing that it cites"


@pytest.mark.parametrize("path", [("cart", "pay", "front"), ("cart",), ("rack-12", "cart", "front")])
def test_a_path_that_is_none_is_emptied_and_the_cause_kept(path):
    found = verify(_draft(_cause(path=path)), INCIDENT, Kept())
    assert found.hypotheses[0].path == ()
    assert found.unsupported == 1


def test_a_cause_that_begins_after_the_symptom_or_exists_nowhere_falls():
    late = verify(_draft(_cause(onset_s=4300.0)), INCIDENT, Kept())
    assert (late.hypotheses, late.status) == ((), "inconclusive")
    assert "700 s after the symptom" in late.ruled_out[0]
    assert "there is no ghost" in verify(_draft(_cause("ghost", ())), INCIDENT, Kept()).ruled_out[0]


def test_confirmed_needs_two_replies_and_a_fallen_leader_leaves_it_inconclusive():
    assert verify(_draft(_cause()), INCIDENT, Kept()).status == "likely"
    assert (
        verify(_draft(_cause(words="cart moved 9"), _cause("pay", ("pay", "front"), words="pay")), INCIDENT, Kept()).status
        == "inconclusive"
    )


def test_a_constant_of_ones_own_query_is_no_evidence_and_what_it_counted_is():
    made_up = said("cart went to 0.97", evidence=("E5",))
    assert not made_up.supported
    assert "written into the query" in made_up.why
    assert said("412 lines were logged at cart", evidence=("E5",)).supported
    assert said("services.cpu_share of pay fell from 0.3 to 0.2", "pay", ("E1", "E5")).supported


@pytest.mark.parametrize("words", ["", "  ", "everything points that way"])
def test_what_says_nothing_that_could_be_checked_is_dropped(words):
    assert "could be checked" in said(words, entity="").why
    if not words.strip():
        assert not said(words).supported


@pytest.mark.parametrize(
    "words", ["the certificate of cart expired", "cart was deployed anew", "cart ran out of memory", "cart was attacked", "cart timed out"]
)
def test_what_happened_must_be_told_by_what_is_cited_and_not_only_named(words):
    found = said(words)
    assert not found.supported
    assert "speaks of" in found.why


def test_what_a_line_of_the_log_says_may_be_said_in_other_words():
    assert said("calls of front to pay were refusing", "front", ("E2",)).supported
