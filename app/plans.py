"""Plans that a workflow of a run could have, and who could do what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from twin.workflows.executors import Executor
from twin.workflows.graph import Graph
from twin.workflows.jobs import graph_of
from twin.workflows.library import library
from twin.workflows.settings import Settings

if TYPE_CHECKING:
    from policies.system import Answer

SYSTEM: Final = "murakkab"
LEVER: Final = "workflow_plan"


@dataclass(frozen=True, slots=True)
class There:
    """What there is to do stages: the workflows as declared, the executors that the site can use, and each workflow's graph."""

    settings: Settings
    executors: tuple[Executor, ...]
    graphs: Mapping[str, Graph]


def there(written: Mapping[str, Any], kinds: Sequence[str], hosts: int, endpoints: Sequence[str], functions: Sequence[str]) -> There:
    """Return what a scenario's workflows are and may use; ``kinds`` of GPUs, endpoints and functions are those of its site.

    Raises ValueError, one line, for a library or job that is not there any more.
    """
    from twin.workflows.model import usable

    settings = Settings.model_validate(dict(written))
    known = asked(settings, endpoints, functions)
    site = SimpleNamespace(server_hardware=tuple(kinds), host_cores=range(hosts), endpoints=known, functions=known)
    able = usable(library(settings.library), site)  # type: ignore[arg-type]
    return There(settings, able, {each.id: graph_of(each, able) for each in settings.workflows})


def front(run_id: str, workflow: str, t_s: float, home: Path) -> "Answer":
    """Return the plans of one workflow that none beats in the epoch of a moment of a run, as Murakkab finds them on an idle site.

    Raises ValueError, one line, where nothing can be planned.
    """
    from policies import catalogue, variants
    from twin.workflows.model import Model
    from twin.working import site_of

    scenario = variants.scenario_of(run_id, home)
    settings = scenario.spec.workflows
    functions = tuple(each.id for each in scenario.spec.functions.functions)
    model = Model(settings, site_of(scenario, functions), scenario.clock, scenario.horizon_s, scenario.seed)
    model.t_s = t_s // settings.epoch_s * settings.epoch_s
    card = catalogue.card(SYSTEM)
    if card.answer is None:
        raise ValueError(f"{SYSTEM} answers no requests; its card has no answer")
    return card.answer(card.knobs(workflow=workflow), model.observe())


def asked(settings: Settings, endpoints: Sequence[str], functions: Sequence[str]) -> tuple[str, ...]:
    """Return whom stages may ask: endpoints and functions, by their ids and by what the library calls them."""
    ids = (*endpoints, *functions)
    return (*ids, *(name for name, target in settings.asks.items() if target in ids and name not in ids))


def levers_with(stack: Sequence[Mapping[str, Any]], knobs: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the lever of plans held by Murakkab with these knobs, for all workflows.

    Of a stack that Murakkab is in already, its knobs stay where these say nothing, and so do choices pinned for other workflows.
    """
    held = next((each for each in stack if each["system"] == SYSTEM), {})
    before = dict(held.get("knobs") or {})
    mine = {str(each).partition(".")[0] for each in knobs.get("plan", ())}
    kept = [each for each in before.get("plan", ()) if str(each).partition(".")[0] not in mine]
    return {LEVER: [{"system": SYSTEM, "knobs": {**before, **knobs, "plan": [*kept, *knobs.get("plan", ())]}}]}
