"""What an operator can set on ModServe, with bounds."""

from typing import Annotated

from pydantic import Field

from policies.system import Knobs


class ModServeKnobs(Knobs):
    """Pace and room of the pools, how stages share servers, and how the time to the first token is divided.

    ``targets`` on ``serving.ttft_p99_s`` and ``serving.image_ttft_p99_s`` tighten the endpoints' objectives where and when they
    hold; those on ``serving.gpus_mean`` and ``serving.cost_usd_per_h`` limit the GPUs. The paper gives the 5 minutes of
    ``interval_s``, scaling by token load over profiled capacity, splitting of images and sharing of servers; everything else here is
    proposed. The headroom was chosen on trials of a few servers with bursts; no other default was tuned.
    """

    interval_s: Annotated[float, Field(ge=60, le=3600, description="time between two sizings of the pools")] = 300.0
    lookback_s: Annotated[float, Field(ge=60, le=7200, description="time over which the 95th percentile of the load is taken")] = 600.0
    headroom_share: Annotated[
        float, Field(ge=0, le=2, description="capacity beyond the load, share of the load (half of it missed objectives in bursts)")
    ] = 1.0
    cool_down_s: Annotated[float, Field(ge=0, le=7200, description="time without need before instances are released")] = 600.0
    hysteresis_share: Annotated[float, Field(ge=0, le=0.5, description="fall of the load that counts as no need")] = 0.1
    autoscale: Annotated[bool, Field(description="release what is not needed; otherwise all GPUs are on and only divided")] = True
    encode_ttft_share: Annotated[
        float, Field(ge=0.05, le=0.95, description="share of the time to first token that encoding may take (proposed)")
    ] = 0.5
    busy_limit_share: Annotated[float, Field(ge=0.1, le=0.98, description="busiest that an instance is planned to be (proposed)")] = 0.85
    choose_width: Annotated[bool, Field(description="take the GPUs per instance with the best capacity per GPU, stage by stage")] = True
    width_gain_share: Annotated[
        float, Field(ge=0, le=1, description="gain in capacity per GPU before a stage changes its GPUs per instance")
    ] = 0.2
    split_decode: Annotated[bool, Field(description="part the text pool into prefill and decode instances")] = False
    colocate_below_share: Annotated[
        float, Field(ge=0, le=1, description="share of its GPUs below which an endpoint's stages share servers; 0 is never")
    ] = 0.5
    whole_where_fewer: Annotated[
        bool, Field(description="leave an endpoint to whole instances of the best width where they need no more GPUs than separate stages")
    ] = True
    burst_slack_s: Annotated[
        float, Field(ge=0, le=60, description="work waiting at a pool, in time at its capacity, beyond which it grows at once (proposed)")
    ] = 2.0
    burst_drain_s: Annotated[float, Field(ge=5, le=600, description="time in which a burst's backlog should be worked off (proposed)")] = (
        60.0
    )
    turn_share: Annotated[float, Field(ge=0.05, le=1, description="share of an endpoint's GPUs that may change their stage at a time")] = (
        0.5
    )
    image_pieces: Annotated[int, Field(ge=1, le=64, description="image instances over which one request's images are split at most")] = 4
