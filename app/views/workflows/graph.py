"""Panel of the task graph: who does which stage, on what."""

from typing import Any

from app import parts, state
from app.charts.statements import count
from app.charts.task_graph import Node, task_graph_svg
from app.charts.tokens import LIGHT
from app.views.memory.controls import select
from app.views.workflows import reading
from app.views.workflows.reading import Looking
from app.views.workloads.lanes import note
from app.widgets.talk import talk

Plan = dict[str, dict[str, Any]]


def graph(look: Looking) -> None:
    """Draw the graph of the workflow's jobs with the executors in the epoch of the cursor; a click looks at that stage."""
    plan = reading.plan_at(look.run_id, look.workflow.id, look.now.t_s)
    title, drawn = graph_title(look, plan), nodes(look, plan)
    save = parts.Save("SVG", f"{look.workflow.id}.svg", "image/svg+xml", lambda: task_graph_svg(look.graph, drawn, LIGHT, title))
    data = reading.table(look.run_id, "workflow_plans")
    sql = _SQL.format(run_id=look.run_id, workflow=look.workflow.id)
    with parts.panel(title, "workflows-graph", data=data, sql=sql, saves=(save,)):
        names = [each.id for each in look.there.settings.workflows]
        if len(names) > 1:
            select(
                "Workflow",
                names,
                look.workflow.id,
                "workflows-whose",
                lambda one: state.set_flow(workflow=one, job=None, stage=None, take=None),
            )
        talk(
            task_graph_svg(look.graph, drawn, state.colours(), title, chosen=look.stage.id), key="workflows-graph-drawing",
            hint="Point at a stage to read it, click it to see who else could do it.", on_pick=lambda stage: state.set_flow(stage=stage),
        )  # fmt: skip
        note(why(look, plan))


def graph_title(look: Looking, plan: Plan) -> str:
    """Return how many stages a job has and on how many GPUs its plan stands, or that there is none."""
    stages = f"{count(len(look.graph.stages), 'stage').capitalize()} from {' and '.join(look.graph.inputs)} to {look.graph.goal}"
    if "" in plan:
        return f"{stages}; no plan keeps what was asked"
    if not plan:
        return stages
    gpus, cores = used(look, plan)
    return f"{stages} on {_hardware(gpus, cores)}"


def used(look: Looking, plan: Plan) -> tuple[int, int]:
    """Return the GPUs and cores of a plan; stages that share instances of a model name the whole pool, and the largest named counts."""
    known = reading.executors(look)
    pools: dict[tuple[str, str, int, bool], tuple[int, int]] = {}
    for row in plan.values():
        executor = known.get(row["executor_id"])
        model = executor.model if executor is not None and executor.model else row["executor_id"]
        key = (model, row["hardware"], row["gpus"] // max(row["instances"], 1), row["spot"])
        before = pools.get(key, (0, 0))
        pools[key] = max(before[0], row["gpus"]), max(before[1], row["cores"])
    return sum(gpus for gpus, _ in pools.values()), sum(cores for _, cores in pools.values())


def _hardware(gpus: int, cores: int) -> str:
    words = [f"{gpus} GPU{'' if gpus == 1 else 's'}"] if gpus else []
    return " and ".join([*words, *([f"{cores} core{'' if cores == 1 else 's'}"] if cores else [])]) or "what others answer"


def nodes(look: Looking, plan: Plan) -> list[Node]:
    """Return the stages as they are drawn; today's way of a stage stands under the candidate's where they differ."""
    other = look.runs.get("today") if not look.today else None
    before = reading.plan_at(other, look.workflow.id, look.now.t_s) if other else {}
    found = []
    for stage in look.graph.stages:
        row, was = plan.get(stage.id), before.get(stage.id)
        lines = () if row is None else (reading.titled(look, row["executor_id"]), how(row))
        changed = "" if was is None or row is None or how_words(was) == how_words(row) else f"today: {_short(look, was, row)}"
        who = "nobody does it in this epoch" if row is None else f"{lines[0]}, {lines[1]}"
        reads = f"reads {', '.join(stage.reads)}, once {'an item' if stage.per == 'item' else 'a job'}"
        found.append(Node(stage.id, stage.title, lines, f"{stage.title}: {who} · {reads}{f' · {changed}' if changed else ''}", changed))
    return found


def how(row: dict[str, Any]) -> str:
    """Return on what a stage is done: hardware of one instance, how many instances, how many items at once."""
    instances = max(row["instances"], 1)
    place = reading.where(row["hardware"], row["gpus"] // instances, row["cores"] // instances, row["spot"])
    words = [f"{instances} × {place}" if instances > 1 else place]
    words += [f"batch {row['batch']}"] if row["batch"] > 1 else []
    return " · ".join(words)


def how_words(row: dict[str, Any]) -> str:
    """Return who does a stage and how, as what plans are compared by."""
    return f"{row['executor_id']} {how(row)}"


def _short(look: Looking, was: dict[str, Any], row: dict[str, Any]) -> str:
    same = was["executor_id"] == row["executor_id"]
    return how(was) if same else f"{reading.titled(look, was['executor_id'])}, {how(was)}"


def why(look: Looking, plan: Plan) -> str:
    """Return why this plan, in the planner's words."""
    row = next(iter(plan.values()), None)
    clock, epoch_s = look.now.clock, look.there.settings.epoch_s
    begin_s = look.now.t_s // epoch_s * epoch_s
    when = f"{clock.at(begin_s):%H:%M}–{clock.at(begin_s + epoch_s):%H:%M}"
    said = "" if row is None else str(row["why"]).rstrip(".")
    return f"{when}: {said}." if said else f"{when}: asked for {look.workflow.constraint}."


_SQL = "SELECT * FROM workflow_plans WHERE run_id = '{run_id}' AND workflow_id = '{workflow}' ORDER BY t_s"
