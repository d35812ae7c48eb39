"""Coefficients are refitted where workers drift, and only there."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from policies.systems.aladdin import routes
from policies.systems.aladdin.knobs import AladdinKnobs
from policies.systems.aladdin.policy import Aladdin
from policies.systems.aladdin.refit import Refit
from twin.clock import Clock
from twin.fleet_file import build
from twin.fleet_spec import AisleSpec, FleetSpec, RowSpec
from twin.serving import latency as lat
from twin.serving.demand import Synthetic
from twin.serving.layout import Endpoint
from twin.serving.levers import PlantAtInstances
from twin.serving.model import Model, Settings

TIMES = slice(lat.FLOOR_S, lat.OVERHEAD_S)
WORKERS = 32


class Service:
    """Thirty-two A100s that Aladdin routes to, and shows a profile that may be wrong: ``wrong`` is what is true over what is shown."""

    def __init__(self, around, knobs, wrong=1.0, rate_per_s=24.0, atgt_s=0.06, scheduler="prefill_first"):
        row = RowSpec(
            id="row-1", kind="gpu", aisle="aisle-1", racks=2, first_rack="rack-1", per_rack=2,
            first_server="server-1", model="a100", power_budget_w=40_000,
        )  # fmt: skip
        fleet = build(FleetSpec(name="small", site_power_budget_w=1e5, aisle=(AisleSpec(id="aisle-1"),), row=(row,)))
        demand = Synthetic(rate_per_s=rate_per_s, peak_to_mean=1.0)
        chat = Endpoint(id="chat", model="8b", tp=1, ttft_slo_s=2.0, atgt_slo_s=atgt_s, demand=demand, scheduler=scheduler)
        clock = Clock.of(datetime(2026, 7, 14, tzinfo=UTC), "America/Phoenix")
        self.model = Model(Settings(endpoints=(chat,)), fleet, {"chat": (0, 1, 2, 3)}, clock, 3600.0, (), 1)
        self.holder, self._wrong, self._t_s = Aladdin(knobs, around), wrong, 0.0
        self.truth = None

    def window(self):
        """Serve a minute; return what the holder saw, the scores that it gave and where the requests of the minute went."""
        one = np.ones(WORKERS)
        plant = PlantAtInstances(30.0, one, 400 * one, 60 * one, 61 * one, 85 * one, 300 * one, 24 * one, np.ones(1), np.ones(1), 0.6 * one)
        seen = self.model.observe(plant)
        self.truth, shown = seen.latency, seen.latency.copy()
        shown[:, TIMES] /= self._wrong
        seen = replace(seen, latency=shown)
        score = self.holder.refresh(seen)
        self.model.route(0, self.holder, score, np.ones(WORKERS, dtype=np.bool_))
        before = self.model.pipelines[0].arrived
        for _ in range(6):
            self._t_s += 10.0
            self.model.advance(self._t_s, one, one)
        pipeline = self.model.pipelines[0]
        places = pipeline.requests[before : pipeline.arrived, 7]
        return seen, score, places[places >= 0]

    def known(self, seen):
        """Return the coefficients that the holder goes by."""
        return self.holder._refit.of(seen.latency)


def spread(places):
    """Return over how many workers requests went, each counted by its share."""
    share = np.bincount(places, minlength=WORKERS) / len(places)
    return 1.0 / (share**2).sum()


def off_by(said, truth):
    """Return the largest relative error of predicted iterations over usual loads, shape I."""
    errors = [lat.decode_s(said, batch, 1200.0 * batch) / lat.decode_s(truth, batch, 1200.0 * batch) for batch in (1, 8, 32, 64)]
    errors += [lat.prefill_s(said, tokens, tokens**2) / lat.prefill_s(truth, tokens, tokens**2) for tokens in (300.0, 1000.0, 4000.0)]
    return np.abs(np.array(errors) - 1.0).max(axis=0)


@pytest.mark.parametrize(
    ("wrong", "asked"), [(1.5, {"rate_per_s": 40.0, "atgt_s": 0.025}), (1 / 1.5, {"rate_per_s": 80.0, "atgt_s": 0.03})]
)
def test_a_wrong_profile_is_mended_within_some_heartbeats_and_workers_are_filled_as_by_the_right_one(around, wrong, asked):
    often, never = AladdinKnobs(calibrate=False), AladdinKnobs(calibrate=False, heartbeat_s=3600.0)
    mended, right, fooled = Service(around, often, wrong, **asked), Service(around, often, **asked), Service(around, never, wrong, **asked)
    seen, _, _ = mended.window()
    assert off_by(mended.known(seen), mended.truth).min() > 0.3, "told wrong"
    for _ in range(8):
        seen, score, _ = mended.window()
    assert off_by(mended.known(seen), mended.truth).max() < 0.1, "of all workers, also of those that serve nobody"
    served = [[service.window() for _ in range(8)] for service in (right, right, fooled, fooled, mended)]
    np.testing.assert_allclose(score[:, routes.SLOW_BASE], served[1][-1][1][:, routes.SLOW_BASE], rtol=0.1)
    as_right, as_fooled, as_mended = (spread(np.concatenate([places for _, _, places in served[run]])) for run in (1, 3, 4))
    assert abs(as_mended - as_right) < 0.3 * abs(as_fooled - as_right)
    assert (as_fooled < as_right) if wrong > 1 else (as_fooled > as_right)


@pytest.mark.parametrize("scheduler", ["prefill_first", "shared", "chunked"])
def test_without_drift_coefficients_stay_to_the_last_digit(around, scheduler):
    service = Service(around, AladdinKnobs(), rate_per_s=60.0, scheduler=scheduler)
    for _ in range(10):
        seen, _, _ = service.window()
        np.testing.assert_array_equal(service.known(seen), seen.latency)
    assert (service.holder._refit._lately[:, 1] > 100).any(), "there was something to judge by"


def test_nothing_is_decided_anew_between_heartbeats(around):
    service = Service(around, AladdinKnobs(heartbeat_s=300.0), 1.5)
    decided = []
    for _ in range(16):
        seen, score, _ = service.window()
        scale, batch = service.holder.scale(seen).wanted, service.holder._batch
        decided.append(np.concatenate([service.known(seen)[:, TIMES].ravel(), score[:, routes.PREFILL_PER_TOKEN], batch, scale]))
    changed = [minute for minute in range(1, 16) if not np.array_equal(decided[minute], decided[minute - 1])]
    assert changed
    assert set(changed) <= {5, 10, 15}


def at(serving_seen, *, decode=(1.0, 1.0), prefill=(1.0, 1.0), batch=20, only=None, **changes):
    """Return a minute in which fixed and growing parts of iterations took so many times what the profile says."""
    base = serving_seen(**changes)
    n, c = len(base.state), base.latency
    busy = np.ones(n) if only is None else np.isin(np.arange(n), only).astype(np.float64)
    steps, reads, prompt = 500.0 * busy, 60.0 * busy, 50 * batch
    grown = c[:, lat.DECODE_PER_REQUEST_S] * batch + c[:, lat.DECODE_PER_CONTEXT_TOKEN_S] * batch * 1000
    decode_s = steps * (decode[0] * c[:, lat.DECODE_S] + decode[1] * grown + c[:, lat.OVERHEAD_S])
    read = c[:, lat.PREFILL_PER_TOKEN_S] * prompt + c[:, lat.PREFILL_PER_SQUARED_TOKEN_S] * prompt**2
    prefill_s = reads * (prefill[0] * c[:, lat.PREFILL_S] + prefill[1] * read + c[:, lat.OVERHEAD_S])
    return replace(
        base,
        prefill_iterations=reads.astype(np.int64),
        prompt_tokens=(reads * prompt).astype(np.int64),
        squared_prompt_tokens=(reads * prompt**2).astype(np.int64),
        decode_iterations=steps.astype(np.int64),
        decoded_tokens=(steps * batch).astype(np.int64),
        decoded_context_tokens=(steps * batch * 1000).astype(np.int64),
        decode_share=decode_s / base.window_s,
        prefill_share=prefill_s / base.window_s,
        encode_share=np.zeros(n),
    )


def taught(serving_seen, minutes=6, batches=(20,), refit=None, every=1, **drift):
    """Let minutes pass, with a heartbeat every so many; return what was learned."""
    for minute in range(minutes):
        seen = at(serving_seen, batch=batches[minute % len(batches)], **drift)
        refit = Refit(len(seen.state)) if refit is None else refit
        refit.learn(seen)
        if minute % every == every - 1:
            refit.beat()
    return refit


def test_where_the_load_varies_the_parts_are_told_apart(serving_seen):
    refit = taught(serving_seen, 12, (4, 30, 120), every=12, decode=(1.6, 1.1), prefill=(1.9, 1.3))
    np.testing.assert_allclose(refit.factors[:, 1], np.tile([1.6, 1.1], (8, 1)), rtol=1e-6)
    np.testing.assert_allclose(refit.factors[:, 0], np.tile([1.9, 1.3], (8, 1)), rtol=1e-6)


def test_where_it_does_not_both_get_the_same_factor(serving_seen):
    factors = taught(serving_seen, 12, (20,), every=12, decode=(1.6, 1.1)).factors
    np.testing.assert_allclose(factors[:, 1, 0], factors[:, 1, 1])
    assert (factors[:, 1] > 1.1).all()
    assert (factors[:, 1] < 1.6).all()
    assert (factors[:, 0] == 1.0).all(), "the phase that does not drift stays"


@pytest.mark.parametrize(("by", "drifts"), [(1.09, False), (0.91, False), (1.12, True), (0.88, True)])
def test_what_lies_within_the_models_error_is_no_drift(serving_seen, by, drifts):
    factors = taught(serving_seen, decode=(by, by), prefill=(by, by)).factors
    np.testing.assert_allclose(factors, by if drifts else 1.0, rtol=1e-9)


def test_what_no_longer_drifts_gets_its_profile_back_exactly(serving_seen):
    refit = taught(serving_seen, 8, decode=(1.5, 1.5))
    assert (refit.factors[:, 1] > 1.4).all()
    assert (taught(serving_seen, 40, refit=refit).factors == 1.0).all()


def test_one_slow_worker_is_known_as_slow_and_one_of_which_nothing_is_known_as_most(serving_seen):
    refit = Refit(8)
    for _ in range(6):
        busy = at(serving_seen, decode=(1.4, 1.4), only=range(6))
        slow = at(serving_seen, decode=(2.5, 2.5), only=[0])
        refit.learn(replace(busy, decode_share=np.where(np.arange(8) == 0, slow.decode_share, busy.decode_share)))
        refit.beat()
    np.testing.assert_allclose(refit.factors[:, 1, 0], [2.5, *[1.4] * 7])


def test_a_window_in_which_the_clock_changed_tells_nothing(serving_seen):
    refit = Refit(8)
    for minute in range(12):
        refit.learn(at(serving_seen, decode=(1.5, 1.5), speed_share=np.full(8, 1.0 - 0.04 * (minute % 2))))
        refit.beat()
    assert (refit.factors == 1.0).all()


def test_another_model_begins_with_its_own_profile(serving_seen):
    refit = taught(serving_seen, decode=(1.5, 1.5))
    other = serving_seen().latency.copy()
    other[:3] = lat.profile("h100", "vllm", "70b", 4).coefficients
    refit.learn(at(serving_seen, decode=(1.5, 1.5), latency=other))
    assert (refit.factors[:3] == 1.0).all()
    assert (refit.factors[3:, 1] != 1.0).all()


def test_a_snapshot_of_it_goes_on_alike(serving_seen):
    refit, other = taught(serving_seen, 3, (5, 40), decode=(1.5, 1.2)), Refit(8)
    other.restore(refit.snapshot())
    for one in (refit, other):
        taught(serving_seen, 4, (40, 9), refit=one, decode=(2.5, 1.2))
    np.testing.assert_array_equal(refit.factors, other.factors)
