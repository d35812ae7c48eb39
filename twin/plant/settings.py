"""The plant as a scenario may change it."""

from pydantic import BaseModel, ConfigDict, Field

from twin.plant.airflow import Airflow
from twin.plant.cooling import Cooling
from twin.plant.heat import Heat
from twin.plant.history import History
from twin.plant.inlet import Inlet
from twin.plant.liquid import Liquid
from twin.plant.outages import RandomFaults
from twin.plant.sensors import Sensors
from twin.plant.starting import ImportName, StartFrom
from twin.plant.throttling import Throttling
from twin.plant.tree import PowerTree
from twin.plant.weather import Weather


class Settings(BaseModel):
    """The plant as a scenario may change it; every default is a calibration entry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weather: Weather = Field(default_factory=Weather)
    airflow: Airflow = Field(default_factory=Airflow)
    inlet: Inlet = Field(default_factory=Inlet)
    heat: Heat = Field(default_factory=Heat)
    throttling: Throttling = Field(default_factory=Throttling)
    cooling: Cooling = Field(default_factory=Cooling)
    liquid: Liquid = Field(default_factory=Liquid)
    sensors: Sensors = Field(default_factory=Sensors)
    history: History = Field(default_factory=History)
    tree: PowerTree = Field(default_factory=PowerTree)
    random_faults: dict[str, RandomFaults] = {}
    max_step_s: float = Field(default=15.0, gt=0, le=60)
    # Names of imported telemetry: fitted to, begun from, replayed.
    telemetry: ImportName | None = None
    start_from: StartFrom | None = None
    replay: ImportName | None = None
