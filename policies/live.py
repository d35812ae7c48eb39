"""Live sessions: a policy set in a twin that programs step and talk to."""

from policies.composing import phases
from policies.policy import PolicySet, Schedule
from twin.live import Answered, Grant, Live, Notice, Said
from twin.scenario import Scenario, read

__all__ = ["Answered", "Grant", "Live", "Notice", "Said", "begin", "replaying"]
_NAME_LENGTH = 40


def begin(scenario: Scenario, schedule: Schedule | PolicySet, seed: int | None = None) -> Live:
    """Begin a session of a scenario under a policy set; ``seed`` None takes the scenario's. ValueError where nobody negotiates."""
    schedule = Schedule.of(schedule) if isinstance(schedule, PolicySet) else schedule
    return Live(scenario, phases(schedule, scenario), seed)


def replaying(scenario: Scenario, name: str) -> Scenario:
    """Return a scenario in which an imported session is said again; its name says so, as its runs are not those of the scenario alone.

    ValueError, one line, where no such log was imported or nobody negotiates.
    """
    raw = scenario.spec.model_dump(mode="json")
    raw["workloads"]["negotiation"]["messages"] = f"import:{name}"
    ending = f"-{name}"[: _NAME_LENGTH - 1]
    raw["name"] = f"{scenario.name[: _NAME_LENGTH - len(ending)]}{ending}"
    return read(raw, f"scenario {scenario.name}")
