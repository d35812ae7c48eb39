"""What an operator can set on Aladdin, with bounds."""

from typing import Annotated

from pydantic import Field

from policies.system import Knobs
from twin.serving.levers import BATCH_HIGH


class AladdinKnobs(Knobs):
    """How far workers may be filled, how many there are, and how often that is decided anew.

    ``targets`` on ``serving.ttft_p99_s``, ``serving.atgt_p99_s`` and ``serving.slo_attainment_share`` tighten the objectives
    of the endpoints and hours that they name. Aladdin's paper tunes theta and gamma and names no values that could be read;
    every default here is a proposal, none was taken from it.
    """

    theta: Annotated[
        float,
        Field(ge=0.3, le=1, description="share of a worker's KV cache that peaks may fill (role published, value proposed)"),
    ] = 0.9
    gamma: Annotated[
        float, Field(ge=0.3, le=1, description="share of the ATGT objective that placements may use (role published, value proposed)")
    ] = 0.8
    heartbeat_s: Annotated[
        float, Field(ge=10, le=3600, description="how often latencies are refitted and width and number of workers decided anew (proposed)")
    ] = 60.0
    cool_down_s: Annotated[float, Field(ge=0, le=7200, description="time without need before workers are given back (proposed)")] = 600.0
    peak_factor: Annotated[float, Field(ge=1, le=3, description="arrivals that workers are counted for, over those seen (proposed)")] = 1.3
    tail_share: Annotated[
        float, Field(ge=0.0005, le=0.2, description="share of requests that may miss each of the two objectives (proposed)")
    ] = 0.005
    calibrate: Annotated[bool, Field(description="whether more room is left while more requests miss an objective than may (proposed)")] = (
        True
    )
    schedulers: Annotated[
        int, Field(ge=1, le=64, description="groups of workers with a scheduler each; requests go round them (role published)")
    ] = 1
    prior_output_tokens: Annotated[
        float, Field(ge=1, le=8192, description="output length assumed before any request has finished (proposed)")
    ] = 200.0
    workers: Annotated[int | None, Field(ge=1, le=4096, description="workers of each endpoint; empty counts them from the demand")] = None
    tp: Annotated[
        int | None, Field(ge=1, le=8, description="GPUs of each worker; empty takes the width with the highest throughput per GPU")
    ] = None
    max_batch: Annotated[
        int | None, Field(ge=1, le=BATCH_HIGH, description="batch limit of each worker; empty takes what the objectives allow")
    ] = None
