"""A small store for the console: two runs of forty minutes and two intents."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from policies import study
from policies.intent.model import Intent
from policies.policy import TODAY, Held, PolicySet
from twin.scenario import read
from twin.sources import data_dir, toml
from twin.store.ledger import Ledger
from twin.store.records import Evidence, IntentVersion

PAGE = Path(__file__).resolve().parents[2] / "app" / "page.py"
WORDS = "keep every GPU under 80 C this afternoon and cut serving cost 10 %, p99 time to first token no worse"
NASTY = "cut latency <b>now</b> ![x](http://elsewhere.example/x.png)"


@dataclass(frozen=True)
class Store:
    """A home folder with runs of today's policy and a candidate."""

    home: Path
    today: str
    candidate: str


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    home = tmp_path_factory.mktemp("console")
    raw = {**toml(data_dir() / "scenarios" / "example.toml"), "horizon_s": "40 min"}
    scenario = read(raw)
    cooler = PolicySet(name="cooler", levers={"request_routing": (Held(system="tapas"),), "instance_config": (Held(system="tapas"),)})
    runs = [study.run(scenario, policy, scenario.seed, home) for policy in (TODAY, cooler)]
    wishes = [
        {"metric": "plant.gpu_temp_max_c", "op": "<=", "value": 80.0},
        {"metric": "serving.cost_usd_per_h", "op": "<=", "value": -0.1, "relative": True},
    ]
    asked = Intent.model_validate({"text": WORDS, "expectations": wishes})
    question = {"about": "meaning", "text": "Which latency: TTFT p99, TBT p99 or end to end p99?"}
    unclear = Intent.model_validate({"text": NASTY, "questions": [question]})
    at = datetime(2026, 7, 14, 13, 31, tzinfo=UTC)
    with Ledger(home).transaction() as ledger:
        policy = cooler.model_dump(mode="json")
        ledger.add_intent(IntentVersion("I-01", 1, WORDS, asked.json_dict(), [], policy, cooler.policy_id, "simulated", at, "mara"))
        findings = [{"severity": "question", **question}]
        ledger.add_intent(IntentVersion("I-02", 1, NASTY, unclear.json_dict(), findings, None, None, "questioned", at, "mara"))
        ledger.add_evidence(Evidence("I-01", 1, at, (runs[0],), (runs[1],), {}, []))
    return Store(home, *runs)


@pytest.fixture
def console(store: Store, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("INTENTWIN_HOME", str(store.home))
    return AppTest.from_file(str(PAGE), default_timeout=60)


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    return AppTest.from_file(str(PAGE), default_timeout=60)
