"""What an operator can set on Workload Intelligence, with bounds."""

from typing import Annotated

from pydantic import Field

from policies.system import Knobs


class WorkloadIntelligenceKnobs(Knobs):
    """How much surplus is sold, when rows count as short of power, and how far harvest VMs grow.

    Conditions, slots and discounts are no knobs: conditions follow the published idea, discounts are the scenario's. All
    defaults were proposed; ``size_room_share`` alone was tried at four values.
    """

    harvest_at_most_share: Annotated[float, Field(ge=0, le=1, description="cores of harvest VMs at most, of all cores of a pool")] = 1.0
    spot_at_most_share: Annotated[float, Field(ge=0, le=1, description="cores of spot VMs at most, of all cores of a pool")] = 1.0
    room_share: Annotated[
        float, Field(ge=0, le=0.2, description="of all cores, what must be free beyond a VM's own before it comes back or grows")
    ] = 0.02
    row_power_share: Annotated[float, Field(ge=0.3, le=1, description="of a row's budget: above it, VMs give power back")] = 0.98
    power_room_share: Annotated[
        float, Field(ge=0, le=0.3, description="of a row's budget: how far below the bound VMs come back, grow and speed up")
    ] = 0.05
    release_s: Annotated[float, Field(ge=0, le=7200, description="time between two steps in which a row gives power again")] = 300.0
    idle_share: Annotated[float, Field(ge=0, le=1, description="of rented vCPUs that idle, what harvest VMs of the host may use")] = 0.5
    size_room_share: Annotated[
        float, Field(ge=0, le=0.5, description="of its cores, what a smaller VM has left before it gets all of its cores again")
    ] = 0.06
    grow_hold_s: Annotated[float, Field(ge=0, le=7200, description="time before harvest VMs of a host grow again")] = 600.0
    boost_busy_share: Annotated[float, Field(ge=0, le=1, description="load from which a VM that may be overclocked is, also unasked")] = 0.6
    move: Annotated[bool, Field(description="offer another region to VMs that may go there, while others wait here for room")] = True
