"""A report tells what a candidate would break, asked for or not."""

from pathlib import Path
from typing import Any

from app.report.checks import broken_promises, risks
from app.report.evidence import gather
from policies import study
from policies.intent.judge import Values
from policies.policy import TODAY, Held, PolicySet
from twin.scenario import read
from twin.sources import data_dir, toml


def kept(**shares: float | None) -> Values:
    """Return values of runs in which endpoints keep their objectives for these shares of their requests."""
    return lambda metric, scope, window: shares[scope[0].id] if metric == "serving.slo_attainment_share" else None


def test_an_endpoint_that_would_break_its_own_objectives_is_told_though_nobody_asked() -> None:
    today = kept(chat=0.999, code=0.9, vision=1.0, quiet=None)
    after = kept(chat=0.954, code=0.8, vision=0.99, quiet=None)
    words = "chat would keep its own objectives for 95.4\u00a0% of its requests, 99.9\u00a0% today"
    assert list(broken_promises(("chat", "code", "vision", "quiet"), today, after)) == [("broken", words)]
    assert not list(broken_promises(("vision", "quiet"), today, after))


def test_a_candidate_that_lets_nobody_down_is_not_said_to(store: Any) -> None:
    assert not [words for _, words in risks(gather(store.home, "I-01")) if "its own objectives" in words]


def test_broken_promises_come_before_all_other_risks(tmp_path: Path) -> None:
    scenario = read({**toml(data_dir() / "scenarios" / "tiny.toml"), "horizon_s": "10 min"})
    alone = PolicySet(name="one at a time", levers={"instance_config": (Held(system="static", knobs={"max_batch": 1}),)})
    _, candidate = (study.run(scenario, policy, scenario.seed, tmp_path) for policy in (TODAY, alone))
    state, words = risks(gather(tmp_path, candidate))[0]
    assert state == "broken"
    assert words.startswith("chat-70b would keep its own objectives for ")
