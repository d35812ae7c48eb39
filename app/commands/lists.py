"""Commands that list what there is, and the health of the store."""

from argparse import Namespace
from typing import Any

from app.commands.terminal import Answer, home, table
from twin.units import UNIT_OF_SUFFIX, show, suffix_of


def runs(arguments: Namespace) -> Answer:
    """List stored runs, the last stored first."""
    from app.report.pairing import names_of_policies, policy_id_of, policy_name
    from twin.store.runs import list_runs

    place = home()
    named = names_of_policies(place)
    found = [
        {
            "run_id": run.run_id,
            "scenario": run.scenario,
            "policy": policy_name(run.schedule, run.run_id, named),
            "policy_id": policy_id_of(run.schedule),
            "seed": run.seed,
            "begin_s": run.begin_s,
            "end_s": run.end_s,
            "metrics": dict(run.metrics),
        }
        for run in list_runs(place)
    ]
    heads = ("run", "scenario", "policy", "seed", "hours", "hottest GPU", "TTFT p99", "serving cost")
    rows = [
        (
            run["run_id"],
            run["scenario"],
            run["policy"],
            run["seed"],
            f"{(run['end_s'] - run['begin_s']) / 3600.0:.1f}",
            *(show(run["metrics"].get(name), name) for name in ("plant.gpu_temp_max_c", "serving.ttft_p99_s", "serving.cost_usd_per_h")),
        )
        for run in found
    ]
    return Answer(found, table(rows, heads, right=(3, 4, 5, 6, 7)) if rows else [_nothing("runs", "run SCENARIO")])


def policies(arguments: Namespace) -> Answer:
    """List the policy sets that intents in the ledger compiled to, and today's."""
    from policies.policy import TODAY

    found: dict[str, dict[str, Any]] = {}
    for version in _versions():
        if version.policy is None or version.policy_id is None:
            continue
        entry = found.setdefault(version.policy_id, {"policy_id": version.policy_id, "policy_set": dict(version.policy), "intents": []})
        entry["intents"].append({"intent_id": version.intent_id, "version": version.version, "state": version.state})
    value = [{"policy_id": TODAY.policy_id, "policy_set": TODAY.model_dump(mode="json"), "intents": []}, *found.values()]
    rows = [
        (
            item["policy_id"],
            item["policy_set"]["name"],
            ", ".join(sorted(item["policy_set"]["levers"])) or "every lever held by its baseline",
            ", ".join(f"{i['intent_id']} v{i['version']} {i['state']}" for i in item["intents"]) or "-",
        )
        for item in value
    ]
    return Answer(value, table(rows, ("policy", "name", "levers", "intents")))


def intents(arguments: Namespace) -> Answer:
    """List the latest version of every intent."""
    latest = {version.intent_id: version for version in _versions()}
    value = [
        {
            "intent_id": version.intent_id,
            "version": version.version,
            "state": version.state,
            "text": version.text,
            "policy_id": version.policy_id,
            "created_at": version.created_at.isoformat(),
            "actor": version.actor,
        }
        for version in sorted(latest.values(), key=lambda item: item.intent_id)
    ]
    rows = [(item["intent_id"], item["version"], item["state"], item["actor"], " ".join(item["text"].split())[:80]) for item in value]
    return Answer(
        value, table(rows, ("intent", "version", "state", "by", "text")) if rows else [_nothing("intents", 'intent "TEXT" --save')]
    )


def _versions() -> list[Any]:
    from twin.store.ledger import Ledger

    ledger = Ledger(home())
    if not ledger.path.exists():
        return []
    with ledger.transaction() as transaction:
        return transaction.intents()


def systems(arguments: Namespace) -> Answer:
    """List systems and baselines with their levers, knobs and claims."""
    from policies.catalogue import cards

    value = [
        {
            "id": card.id,
            "name": card.name,
            "question": card.question,
            "paper": card.paper,
            "levers": dict(card.levers),
            "serves": list(card.serves),
            "costs": list(card.costs),
            "knobs": {name: field for name, field in card.knobs.model_json_schema().get("properties", {}).items() if name != "targets"},
            "claims": [claim.id for claim in card.claims],
        }
        for card in cards().values()
    ]
    rows = [
        (
            item["id"],
            "paper" if item["paper"] else "baseline",
            ", ".join(f"{lever} ({role})" for lever, role in item["levers"].items()),
            item["question"],
        )
        for item in value
    ]
    return Answer(value, table(rows, ("system", "kind", "levers", "question it answers")))


def metrics(arguments: Namespace) -> Answer:
    """List the vocabulary."""
    from twin.metrics import METRICS

    value = [
        {
            "name": metric.name,
            "unit": UNIT_OF_SUFFIX.get(suffix_of(metric.name), "") + ("/day" if metric.per_day else ""),
            "better": metric.better,
            "low": metric.low,
            "high": metric.high if metric.high < float("inf") else None,
            "scopes": list(metric.scopes),
            "meaning": metric.meaning,
        }
        for metric in METRICS.values()
    ]
    rows = [(item["name"], item["unit"] or "-", item["better"], " ".join(item["scopes"]) or "-", item["meaning"]) for item in value]
    return Answer(value, table(rows, ("metric", "unit", "better", "scopes", "what it is")))


def scenarios(arguments: Namespace) -> Answer:
    """List packaged scenarios."""
    from twin.scenario import names
    from twin.sources import data_dir, toml

    value = []
    for name in names():
        raw = toml(data_dir() / "scenarios" / f"{name}.toml")
        value.append({key: raw.get(key) for key in ("name", "title", "fleet", "start", "timezone", "horizon_s", "seed")})
    rows = [(item["name"], item["fleet"], str(item["start"]), item["timezone"] or "UTC", item["title"] or "") for item in value]
    return Answer(value, table(rows, ("scenario", "fleet", "start", "zone", "title")))


def classes(arguments: Namespace) -> Answer:
    """List classes of workloads with their levels, and the price cut that hints of such levels are quoted."""
    from policies.systems.workload_intelligence.prices import quote
    from twin.sources import calibration
    from twin.workloads.negotiation.classes import HIGHEST, SURVEY, named

    packaged = calibration("negotiation")["class"] if arguments.table == SURVEY else {}
    value = [
        {
            "id": name,
            "title": each.title,
            "share": each.share,
            "levels": each.levels.model_dump(),
            "agent": each.agent,
            "quoted_price_cut_share": 1.0 - quote(each.levels).price_share,
            "source": packaged[name]["share"]["source"] if name in packaged else arguments.table,
            "strength": packaged[name]["share"]["strength"] if name in packaged else "imported",
        }
        for name, each in named(arguments.table).items()
    ]
    rows = [
        (
            item["id"],
            show(item["share"], "x_share"),
            *(f"{item['levels'][need]}/{highest}" for need, highest in HIGHEST.items()),
            item["agent"],
            show(item["quoted_price_cut_share"], "x_share"),
            f"{item['source']}, {item['strength']}",
            item["title"],
        )
        for item in value
    ]
    heads = ("class", "share", *HIGHEST, "agent", "price cut", "source", "what it is")
    foot = "Levels: 0 is none, the highest is all. Price cut: quoted at these hints with room for everybody, before any run."
    return Answer(value, [*table(rows, heads, right=(1, 9)), foot])


def executors(arguments: Namespace) -> Answer:
    """List the executors of a library, a line a profile."""
    from dataclasses import asdict

    from twin.workflows.library import library

    found = library(arguments.library)
    value = [asdict(each) for each in found]
    rows = [
        (
            each.id,
            each.kind,
            f"{', '.join(each.reads)} > {', '.join(each.gives)}",
            show(each.quality_share, "x_share"),
            profile.hardware,
            profile.gpus or "-",
            profile.cores or "-",
            # An endpoint or a function takes what serving and functions take.
            show(profile.item_s, "x_s") if profile.item_s else "-",
            profile.batch_at_most,
            show(profile.active_w * profile.gpus + profile.core_w * profile.cores, "x_w"),
            f"{profile.source}, {profile.strength}",
            each.title,
        )
        for each in found
        for profile in each.profiles
    ]
    heads = ("executor", "kind", "reads > gives", "quality", "on", "GPUs", "cores", "an item", "batch", "power", "source", "what it is")
    foot = "An item: alone, on one warm instance. Power: of one instance at work, above idle. Quality: against the best of its kind."
    return Answer(value, [*table(rows, heads, right=(3, 5, 6, 7, 8, 9)), foot])


def doctor(arguments: Namespace) -> Answer:
    """Check the store: exit 2 where something is damaged."""
    from dataclasses import asdict

    from twin.store.doctor import check

    found = check(home(), repair=arguments.repair)
    value = {"home": str(home()), "findings": [asdict(finding) for finding in found]}
    rows = [(finding.severity, finding.subject, finding.text) for finding in found]
    return Answer(value, [f"store: {home()}", *table(rows)], 2 if any(finding.severity == "error" for finding in found) else 0)


def _nothing(what: str, how: str) -> str:
    return f"no {what} yet; make one with `intentwin {how}`"
