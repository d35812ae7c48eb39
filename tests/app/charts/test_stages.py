import numpy as np
import polars as pl
import pytest

from app.charts import stages
from app.charts.breakdown import PARTS
from app.charts.pipeline import pipeline_narrow_svg, pipeline_svg
from app.charts.tokens import LIGHT

SPECS = {"vision": {"tp": 4, "max_batch": 64}, "chat": {"tp": 8, "max_batch": 64}}
WINDOWS = pl.DataFrame(
    {
        "t_s": [0.0, 60.0] * 2,
        "endpoint_id": ["vision"] * 2 + ["chat"] * 2,
        "window_s": [60.0] * 4,
        "arrivals": [600] * 4,
        "finished": [500, 1500] * 2,
        "prompt_tokens_per_s": [1000.0, 3000.0] * 2,
        "output_tokens_per_s": [500.0] * 4,
        "gpus_on": [16.0, 32.0] * 2,
        "usd_per_h": [40.0, 80.0] * 2,
        "quality_share": [1.0, 0.8] * 2,
    }
)
# One image instance, one that prefills, one that decodes; and one that does all.
INSTANCES = pl.DataFrame(
    {
        "t_s": [0.0] * 4,
        "instance_id": ["vision/1", "vision/2", "vision/3", "chat/1"],
        "endpoint_id": ["vision", "vision", "vision", "chat"],
        "number": [1, 2, 3, 1],
        "gpus": [4, 4, 4, 8],
        "role": [1, 2, 3, 0],
        "on_share": [1.0] * 4,
        "encode_share": [0.91, 0.0, 0.0, 0.0],
        "prefill_share": [0.0, 0.6, 0.0, 0.3],
        "decode_share": [0.0, 0.0, 0.9, 0.5],
        "batch_mean": [0.0, 0.0, 32.0, 4.0],
        "queue_mean": [31.0, 3.0, 0.5, 2.0],
        "kv_share": [0.0, 0.1, 0.2, 0.4],
        "clock_share": [1.0] * 4,
        "preemptions": [0, 0, 0, 7],
        "atgt_budget_share": [0.0, 0.0, 0.7, 1.4],
    }
)
TIMES = pl.DataFrame(
    {
        "endpoint_id": ["vision", "vision", "chat"],
        "kind": ["image", "text", "text"],
        "ttft_s": [3.0, 1.0, 1.0],
        "e2e_s": [6.0, 2.0, 4.0],
        **{name: [0.0, 0.0, 0.0] for name in PARTS},
    }
).with_columns(
    pl.Series("encode_wait_s", [1.5, 0.0, 0.0]),
    pl.Series("encode_s", [0.5, 0.0, 0.0]),
    pl.Series("preprocess_s", [0.6, 0.0, 0.0]),
    pl.Series("prefill_s", [0.4, 1.0, 1.0]),
)


def _frame(instances: pl.DataFrame = INSTANCES) -> pl.DataFrame:
    return stages.pipeline(WINDOWS, instances, TIMES, SPECS, {"vision": 16})


def _row(endpoint: str, stage: str, frame: pl.DataFrame | None = None) -> dict:
    whole = _frame() if frame is None else frame
    return whole.filter((pl.col("endpoint_id") == endpoint) & (pl.col("stage") == stage)).row(0, named=True)


def test_each_stage_says_who_serves_it_how_busy_and_who_waits() -> None:
    encode, prefill, decode = (_row("vision", stage) for stage in ("encode", "prefill", "decode"))
    assert encode["pool"] == "1\u00a0×\u00a04\u00a0GPUs"
    assert (encode["use_share"], encode["waiting"]) == (pytest.approx(0.91), pytest.approx(31.0))
    assert (prefill["use_share"], prefill["waiting"]) == (pytest.approx(0.6), pytest.approx(3.0))
    assert decode["waiting"] == pytest.approx(0.5)
    assert prefill["tokens_per_s"] == pytest.approx(2000.0)
    assert prefill["requests_per_s"] == pytest.approx(10.0)
    assert encode["requests_per_s"] == pytest.approx(1.0 / 120.0)


def test_a_pool_that_is_there_for_a_part_of_the_interval_counts_for_that_part() -> None:
    # In the second five minutes the instance that decoded encodes.
    later = INSTANCES.with_columns(pl.lit(300.0).alias("t_s"), pl.Series("role", [1, 2, 1, 0]))
    frame = _frame(pl.concat([INSTANCES, later]))
    encode, decode = _row("vision", "encode", frame), _row("vision", "decode", frame)
    assert (decode["pool"], decode["instances"], decode["gpus"]) == ("0.5\u00a0×\u00a04\u00a0GPUs", pytest.approx(0.5), pytest.approx(2.0))
    assert decode["waiting"] == pytest.approx(0.25)
    assert encode["pool"] == "1.5\u00a0×\u00a04\u00a0GPUs"


def test_decode_is_as_full_as_its_cache_or_its_batch_limit() -> None:
    split, whole = _row("vision", "decode"), _row("chat", "decode")
    assert (split["use_share"], split["use"], split["time_share"]) == (pytest.approx(0.5), "of limit", pytest.approx(0.9))
    assert (whole["use_share"], whole["use"]) == (pytest.approx(0.4), "of KV")


def test_the_stages_shares_of_the_first_token_add_up_to_one() -> None:
    found = _frame().filter(pl.col("endpoint_id") == "vision")
    assert found["ttft_share"].sum() == pytest.approx(1.0)
    encode = _row("vision", "encode")
    assert (encode["ttft_share"], encode["ttft_waiting_share"]) == (pytest.approx(2.0 / 4.0), pytest.approx(1.5 / 4.0))
    assert _row("vision", "decode")["e2e_share"] == pytest.approx(0.5)


def test_cpu_workers_are_busy_for_what_preparing_took_of_their_time() -> None:
    assert _row("vision", "preprocess")["use_share"] == pytest.approx(0.6 / (16 * 120.0))
    unknown = stages.pipeline(WINDOWS, INSTANCES, TIMES, SPECS, {})
    assert _row("vision", "preprocess", unknown)["use_share"] is None


def test_text_skips_the_image_stages_and_one_pool_serves_the_rest() -> None:
    chat = _frame().filter(pl.col("endpoint_id") == "chat")
    assert chat["skipped"].to_list() == [True, True, False, False]
    assert chat.filter(~pl.col("skipped"))["roles"].to_list() == ["0", "0"]
    for drawn in (pipeline_svg(chat, LIGHT), pipeline_narrow_svg(chat, LIGHT)):
        assert "no images, skipped" in drawn
        assert "same pool" in drawn
    assert "same pool" not in pipeline_svg(_frame().filter(pl.col("endpoint_id") == "vision"), LIGHT)


def test_encoding_inside_a_prefill_is_counted_once() -> None:
    whole = INSTANCES.filter(pl.col("endpoint_id") == "vision").with_columns(
        pl.lit(0).alias("role"), pl.Series("encode_share", [0.1, 0.1, 0.1]), pl.Series("prefill_share", [0.3, 0.3, 0.3])
    )
    frame = _frame(whole)
    assert _row("vision", "encode", frame)["use_share"] == pytest.approx(0.1)
    assert _row("vision", "prefill", frame)["use_share"] == pytest.approx(0.2)


def test_what_prefills_counts_as_an_encoder_only_where_it_encodes() -> None:
    helping = INSTANCES.with_columns(pl.Series("encode_share", [0.91, 0.2, 0.0, 0.0]))
    assert _row("vision", "encode", _frame(helping))["pool"] == "2\u00a0×\u00a04\u00a0GPUs"


def test_amber_is_past_the_target_only() -> None:
    assert LIGHT.risk_text in pipeline_svg(_frame(), LIGHT)
    calm = INSTANCES.with_columns(pl.lit(0.2).alias("encode_share"))
    assert LIGHT.risk_text not in pipeline_svg(_frame(calm), LIGHT)


def test_a_narrow_drawing_says_what_the_wide_one_says() -> None:
    wide, narrow = pipeline_svg(_frame(), LIGHT), pipeline_narrow_svg(_frame(), LIGHT)
    for words in ("91\u00a0% busy", "31 wait", "50\u00a0% of TTFT", "16\u00a0CPU\u00a0cores", "50\u00a0% of limit"):
        assert words in wide
        assert words in narrow


def test_an_endpoint_that_is_off_is_still_a_lane() -> None:
    frame = _frame(INSTANCES.clear())
    assert _row("chat", "prefill", frame)["pool"] == "none on"
    assert "none on" in pipeline_svg(frame, LIGHT)


def test_cost_and_quality_are_read_off_the_windows() -> None:
    assert stages.cost(WINDOWS)["usd_per_h"].to_list() == [80.0, 160.0]
    assert stages.spent(WINDOWS, 0.0, 120.0).row(0) == ("chat", 24.0, 60.0, pytest.approx(0.85))


def test_quantiles_are_of_the_endpoint_that_is_asked() -> None:
    requests = pl.DataFrame({"endpoint_id": ["chat"] * 3, **{name: [0.5, 0.7, float("nan")] for name in stages.LATENCIES}})
    gaps = pl.DataFrame({"endpoint_id": ["chat"], "gap_s": [0.01], "gap_to_s": [0.02], "tokens": [1000]})
    tables = stages.quantiles(requests.lazy(), gaps.lazy(), "chat")
    assert set(tables) == {*stages.LATENCIES, "tbt_s"}
    assert tables["tbt_s"]["value"].is_between(0.01, 0.02).all()
    assert all(table.is_empty() for table in stages.quantiles(requests.lazy(), None, "code").values())


def test_gaps_agree_with_the_metric_that_reads_them() -> None:
    from app.charts.distribution import at, binned_table
    from twin.serving.readings import _binned

    edges = 0.01 * 2.0 ** (np.arange(41) / 8)
    counts = np.random.default_rng(3).integers(1, 100_000, 40)
    table = binned_table(pl.DataFrame({"gap_s": edges[:-1], "gap_to_s": edges[1:], "tokens": counts}))
    assert at(table, 0.99) == pytest.approx(_binned(edges[:-1], edges[1:], counts, 0.99), rel=0.02)
