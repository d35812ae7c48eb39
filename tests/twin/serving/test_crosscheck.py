"""Against another simulator: vidur on one A100, Llama-3-8B, the Azure conversation trace."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.serving import batching as b
from twin.serving import latency
from twin.serving.engine import Engine
from twin.serving.traces import read_azure


@pytest.fixture(scope="module")
def vidur(test_data: Path) -> pl.DataFrame:
    path = test_data / "crosscheck" / "vidur_1xA100_llama3-8b_azure_conv.parquet"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return pl.read_parquet(path)


def ours(trace: pl.DataFrame, router: Any, overhead_s: float, shared: bool = False) -> pl.DataFrame:
    coefficients = np.array([latency.profile("a100", "vllm", "8b", 1).coefficients])
    coefficients[0, latency.OVERHEAD_S] = overhead_s
    sizes = (trace["prompt_tokens"].to_numpy().astype(np.int64), trace["output_tokens"].to_numpy().astype(np.int64))
    engine = Engine(coefficients, trace["t_s"].to_numpy(), sizes, shared=shared)
    engine.advance(0, b.FOREVER - 1, b.entry(router))
    arrive, first, finish = (engine.requests[:, column] / b.TICKS_PER_S for column in (b.ARRIVE, b.FIRST, b.FINISH))
    return pl.DataFrame({"ttft_s": first - arrive, "per_token_s": (finish - first) / np.maximum(sizes[1] - 1, 1), "e2e_s": finish - arrive})


def test_print(azure_conversation: Path, vidur: pl.DataFrame, router: Any) -> None:
    v = vidur.with_columns(per_token_s=(pl.col("e2e_s") - pl.col("ttft_s")) / (pl.col("output_tokens") - 1).clip(1))
    for oh in (0, 0.001, 0.002, 0.003):
        o = ours(read_azure(azure_conversation), router, oh, True)
        for c in ("ttft_s", "per_token_s", "e2e_s"):
            print(oh, c, [(round(o[c].quantile(q), 4), round(v[c].quantile(q), 4)) for q in (0.5, 0.9, 0.99)], o[c].mean(), v[c].mean())
