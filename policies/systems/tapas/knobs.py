"""What an operator can set on TAPAS, with bounds."""

from typing import Annotated

from pydantic import Field

from policies.system import Knobs


class TapasKnobs(Knobs):
    """Margins to the bounds, the range and pace of clocks, and how far ahead to look.

    ``targets`` on ``plant.gpu_temp_max_c`` and ``plant.row_power_peak_w`` are enforced where and when they hold;
    without any, the hardware's limits and the rows' budgets are. Defaults of clocks, of temperature and of routing by heat were
    chosen on the example scenario with seeds 7, 11 and 13, also with more bursts; seeds 2 to 6 were held back for a check.
    Those of emergencies (``emergency_power_margin_share``, ``emergency_clock_share``) were chosen on the tiny scenario at high
    load with a UPS or an air handler lost, seeds 1 to 3, and on the example fleet with a UPS lost. All others were proposed and
    not tuned: routing by power and air, changes of models and of widths (off unless ``widths`` is set), and placement.
    """

    temperature_margin_c: Annotated[float, Field(ge=0, le=15, description="distance that clocks keep below a temperature bound")] = 2.0
    routing_margin_c: Annotated[float, Field(ge=0, le=20, description="distance at which routing begins to spare an instance")] = 3.0
    routing_power_margin_share: Annotated[
        float, Field(ge=0, le=0.5, description="share of a row's power bound at which routing begins to spare its instances")
    ] = 0.05
    routing_air_margin_share: Annotated[
        float, Field(ge=0, le=0.5, description="share of an aisle's air at which routing begins to spare its instances")
    ] = 0.02
    power_margin_share: Annotated[float, Field(ge=0, le=0.5, description="share of a row's budget that is kept free")] = 0.03
    lowest_clock_share: Annotated[float, Field(ge=0.2, le=1, description="lowest clock that configuration may set")] = 0.55
    step_down_share: Annotated[float, Field(ge=0.01, le=0.8, description="largest fall of a clock per window")] = 0.2
    step_up_share: Annotated[float, Field(ge=0.005, le=0.8, description="largest rise of a clock per window")] = 0.05
    hysteresis_c: Annotated[float, Field(ge=0, le=10, description="room below the bound before clocks rise again")] = 0.5
    horizon_s: Annotated[float, Field(ge=0, le=3600, description="how long before its window a target is met")] = 600.0
    capacity_floor_share: Annotated[float, Field(ge=0.1, le=1, description="share of an endpoint's instances that stays admitted")] = 0.5
    peak_to_mean: Annotated[
        float, Field(ge=1, le=10, description="sudden peak over present demand that instances must carry before others are spared")
    ] = 2.0
    prefill_room_share: Annotated[float, Field(ge=0.1, le=1, description="time in prefill that routing may fill the rest to")] = 0.65
    idle_power_share: Annotated[float, Field(ge=0, le=0.5, description="power of an idle GPU as a share of its rating")] = 0.18
    goodput_headroom_share: Annotated[
        float, Field(ge=0, le=2, description="how much more than its demand an endpoint must carry before its models are left alone")
    ] = 0.15
    least_quality_share: Annotated[
        float, Field(ge=0, le=1, description="answers of models that take over in need are at least this good")
    ] = 0.0
    quality_hold_s: Annotated[
        float, Field(ge=0, le=86400, description="how long plain settings must have been enough before a change back")
    ] = 600.0
    turn_share: Annotated[float, Field(gt=0, le=1, description="share of an endpoint's instances that change their model at once")] = 0.34
    widths: Annotated[
        bool, Field(description="swap wide instances for narrower ones on their GPUs where a row is short; needs instance_scaling")
    ] = False
    emergency_margin_c: Annotated[float, Field(ge=0, le=10, description="distance to a bound at which a GPU is capped at once")] = 1.0
    emergency_power_margin_share: Annotated[
        float, Field(ge=0, le=0.3, description="share of a row's bound that a cap frees; it sets in at half of it")
    ] = 0.06
    emergency_clock_share: Annotated[
        float, Field(ge=0.2, le=1, description="clock down to which managed GPUs are capped at most before opaque ones are")
    ] = 0.35
    emergency_headroom_share: Annotated[
        float, Field(ge=0, le=4, description="how much more than its demand an endpoint must carry at the clock its GPUs keep in need")
    ] = 0.5
    emergency_opaque_clock_share: Annotated[
        float, Field(ge=0.2, le=1, description="clock down to which opaque GPUs are capped before their managed neighbours do not serve")
    ] = 0.5
    emergency_release_per_s: Annotated[float, Field(gt=0, le=0.5, description="clock share given back per second after a cap")] = 0.005
    oversubscription_share: Annotated[
        float, Field(ge=0, le=1, description="servers above those that the power budgets were made for, as a share of them")
    ] = 0.0
    doubt_share: Annotated[
        float,
        Field(ge=0, le=1, description="predicted peak between the mean and the highest hour of the past"),
    ] = 0.5
    placement_hours: Annotated[int, Field(ge=1, le=168, description="coming hours of the week that a new VM's peak is looked for in")] = 168
    placement_margin_share: Annotated[
        float, Field(ge=0, le=0.5, description="share of a row's budget and of an aisle's air that placement leaves free")
    ] = 0.05
    refuse: Annotated[bool, Field(description="let a VM wait where no server keeps its row and aisle within bounds")] = False
    mix_weight: Annotated[float, Field(ge=0, le=10, description="how much placement mixes opaque and managed VMs per row and aisle")] = 2.0
    row_weight: Annotated[float, Field(ge=0, le=10, description="how much placement seeks rows far below their budget")] = 2.0
    heat_weight: Annotated[float, Field(ge=0, le=10, description="how much placement gives cool servers to hot VMs")] = 0.5
    fit_weight: Annotated[float, Field(ge=0, le=10, description="how much placement fills servers that are partly taken")] = 1.0
