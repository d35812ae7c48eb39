"""The claims of Aladdin and ModServe, cut down: their set-ups run, and their numbers move with what they depend on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from policies.baselines.serving import StaticPeak, StaticPeakKnobs
from policies.baselines.stages import PrefillDecode, PrefillDecodeKnobs
from policies.claim import Search
from policies.probes import sought
from policies.reproduce import check
from policies.systems.aladdin.claims import CLAIMS as ALADDIN
from policies.systems.aladdin.claims import DECODE_SIZES, PREFILLERS, WHOLE_SEARCH
from policies.systems.modserve.claims import CLAIMS as MODSERVE
from policies.systems.modserve.claims import COST, IMAGES, TEXT, THROUGHPUT, encode_share
from twin.clock import Window
from twin.scenario import load
from twin.serving.levers import PREFILL
from twin.variation import varied

RATE = "serving.endpoints[chat].demand.rate_per_s"
ATGT = "serving.endpoints[chat].atgt_slo_s"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reduced")


def cut(search: Search, labels: tuple[str, ...], sizes: int, window: Window) -> Search:
    kept = {label: search.contenders[label] for label in labels}
    few = {label: replace(each, tries=each.tries[:1], sizes=each.sizes[:sizes]) for label, each in kept.items()}
    return replace(search, contenders=few, sweeps=(), probes=8, find=replace(search.find, window=window))


def test_a_looser_objective_needs_fewer_gpus(home):
    scenario = varied(load("aladdin"), {"horizon_s": 600.0, RATE: 8.0})
    search = replace(cut(WHOLE_SEARCH, ("vllm",), 8, Window(12.05, None)), ours="vllm", against=(), form="value")
    tight, loose = (sought(replace(search, vary={ATGT: s}), scenario, (1,), home)[0].answers[0].value for s in (0.016, 0.1))
    assert loose < tight
    assert loose % 4 == 0, "workers are whole nodes of the testbed"


def test_aladdins_claim_comes_to_a_verdict(home):
    scenario = varied(load("aladdin"), {"horizon_s": 960.0, RATE: 8.0})
    small = replace(ALADDIN[0], evidence=cut(WHOLE_SEARCH, ("vllm", "aladdin"), 12, Window(12.2, None)), seeds=(1,))
    verdict, told = check(small, scenario, home)
    assert verdict.ours is not None
    assert told["points"][0]["labels"].keys() == {"vllm", "aladdin"}
    assert told["probes"] <= told["probes_limit"] == 16


def test_the_prefill_part_is_the_same_at_every_size_of_the_decode_pool():
    for size in DECODE_SIZES:
        whole, share = size["static_peak.instances"], size["prefill_decode.prefill_share"]
        role = PrefillDecode(PrefillDecodeKnobs(prefill_share=share), None)._divided(128)
        seen = _Seen(role)
        wanted = StaticPeak(StaticPeakKnobs(instances=whole), None).scale(seen).wanted
        assert wanted.sum() == whole
        assert (role[wanted] == PREFILL).sum() == PREFILLERS


class _Seen:
    """What a scaler reads of 128 one-GPU slots."""

    def __init__(self, role: np.ndarray) -> None:
        self.role, self.endpoint_ids = role, ("chat",)
        self.instance_endpoint, self.instance_gpus = np.zeros(len(role), dtype=np.int64), np.ones(len(role), dtype=np.int64)
        self.configured = np.ones(len(role), dtype=np.bool_)


def test_more_load_is_carried_where_the_first_token_may_take_longer(home):
    one = varied(load("modserve"), {"horizon_s": 600.0, "workloads.vms[0].servers": ["server-1"]})
    search = replace(cut(THROUGHPUT, ("monolithic",), 0, Window(12.05, None)), ours="monolithic", against=(), form="value")
    search = replace(search, find=replace(search.find, scales=(0.1, 0.3, 0.6, 0.8, 1.0, 1.2)))
    place = "serving.endpoints[vision].ttft_slo_s"
    found = [sought(replace(search, vary={place: s}), one, (1,), home)[0].answers[0].value for s in (1.2, 20.0)]
    assert found[0] is None or found[0] < found[1]


def test_the_share_of_encoding_is_that_of_requests_with_images():
    rows = pl.LazyFrame({"images": [1, 4, 0], "encode_s": [0.2, 0.4, 9.0], "ttft_s": [0.5, 1.0, 9.0]})
    unknown = pl.LazyFrame({"images": [1], "encode_s": [0.2], "ttft_s": [float("nan")]})
    assert encode_share({"requests": rows}) == pytest.approx(0.4)
    assert encode_share({"requests": unknown}) is None
    assert encode_share({}) is None


def test_the_share_of_encoding_is_measured_and_grows_with_the_encoder(home):
    light = varied(load("modserve-light"), {"horizon_s": 900.0})
    claims = {claim.id: claim for claim in MODSERVE if claim.id.startswith("encode-share")}
    searches = [replace(claim.evidence, sweeps=()) for claim in claims.values()]
    shares = [sought(search, light, (1,), home)[0].answers[0].value for search in searches]
    assert all(0.0 < share < 1.0 for share in shares)
    assert shares[0] > shares[1], "the same encoder before a larger language model takes less of the whole"


def test_the_share_of_encoding_grows_with_the_time_of_the_encoder(home):
    light = varied(load("modserve-light"), {"horizon_s": 900.0})
    for claim in (claim for claim in MODSERVE if claim.id.startswith("encode-share")):
        (sweep,) = (sweep for sweep in claim.evidence.sweeps if sweep.name == "multiples of the encoder's time")
        assert list(sweep.settings) == [1.0, 2.0, 4.0]
        found = sought(replace(claim.evidence, sweeps=(sweep,)), light, (1,), home)
        own, twice, four = (outcome.answers[0].value for outcome in found)
        assert own < twice < 1.0
        # The largest encoder then fills its instance: its requests wait for one another, which is no encoding.
        assert (four > twice) == (claim.id != "encode-share-nvlm-d-72b")


def test_prefill_apart_from_decode_is_a_baseline_of_both_claims_and_searched_as_hard_as_ours():
    for search in (THROUGHPUT, COST):
        label = "prefill and decode apart"
        assert label in search.against
        ours, theirs = search.contenders["modserve"], search.contenders[label]
        assert theirs.policy["levers"]["stage_layout"] == [{"system": "prefill_decode"}]
        assert len(theirs.tries) == len(ours.tries)
        assert len(theirs.sizes) >= len(ours.sizes)
    assert THROUGHPUT.compare({"monolithic": 1.0, label: 2.0, "modserve": 4.0}) == 2.0, "more than either"
    assert COST.compare({"monolithic": 8.0, label: 4.0, "modserve": 2.0}) == -0.5, "less than either"


def test_with_prefill_apart_from_decode_a_tighter_objective_costs_more(home):
    some = {"horizon_s": 1200.0, "workloads.vms[0].servers": ["server-1", "server-2"], TEXT: 4.0, **dict.fromkeys(IMAGES, 4.0)}
    few = varied(load("modserve-bursty"), some)
    search = replace(
        cut(COST, ("prefill and decode apart",), 3, Window(12.1, None)), ours="prefill and decode apart", against=(), form="value"
    )
    place = "serving.endpoints[vision].ttft_slo_s"
    found = [sought(replace(search, vary={place: s}), few, (1,), home)[0].answers[0].value for s in (2.0, 20.0)]
    assert found[1] < found[0]
