"""The most important thing about the run that is shown, in one sentence."""

from app import asked, headlines, state
from app.headlines import Headline, held
from twin import units
from twin.metrics import METRICS


def title(now: state.Context, found: list[Headline]) -> str:
    """Say the most important thing about the run in one sentence."""
    run_id = now.run_id or ""
    throttles = state.metric(run_id, "plant.thermal_throttle_events") or 0.0
    states = {item.label: held(state.metric(run_id, item.metric, item.scope), item.limit) for item in found}
    if throttles:
        row = headlines.hottest_row(run_id) or "the floor"
        return f"{row.capitalize()} is too hot: GPUs began to throttle {throttles:.0f} times"
    broken = [item for item in found if states[item.label] == "broken"]
    if broken:
        item = broken[0]
        return (
            f"{item.label} is past its limit: {units.show(state.metric(run_id, item.metric, item.scope), item.metric)}, {item.limit_words}"
        )
    asks = _asks(now)
    closest = [item for item in found if item.limit]
    if "not" in asks:
        return f"{asks[0].upper()}{asks[1:]}" + ("; every limit of the site does" if closest else "")
    if not closest:
        return f"{now.scenario} ran to its end" + (f"; {asks}" if asks else "")
    item = max(closest, key=lambda one: (state.metric(run_id, one.metric, one.scope) or 0.0) / (one.limit or 1.0))
    value = units.show(state.metric(run_id, item.metric, item.scope), item.metric)
    comes = f"{item.label[0].lower() + item.label[1:]} comes closest: {value}, {item.limit_words}"
    return f"Every limit holds, {asks}; {comes}" if asks else f"Every limit holds; {comes}"


def _asks(now: state.Context) -> str:
    """Return whether what is asked holds on the run that is shown, in a few words; empty where nothing is asked."""
    by_intent: dict[str, list[asked.Line]] = {}
    for line in asked.standing(now):
        by_intent.setdefault(line.intent_id, []).append(line)
    stands = {intent_id: asked.worst(lines) for intent_id, lines in by_intent.items()}
    known = {intent_id: word for intent_id, word in stands.items() if word != "waiting"}
    broken = [intent_id for intent_id, word in known.items() if word == "broken"]
    if not known:
        return ""
    if not broken:
        closely = " with little to spare" if "at risk" in known.values() else ""
        return f"{next(iter(known))} holds{closely}" if len(known) == 1 else f"all {len(known)} intents hold{closely}"
    if len(broken) > 1:
        return f"{len(broken)} of {len(known)} intents do not hold"
    line = next(line for line in by_intent[broken[0]] if line.state == "broken" and line.bound.must)
    value = units.show(line.value, line.metric)
    return f"{broken[0]} does not hold: {METRICS[line.metric].label} {value}, {line.bound.words(line.metric)}"


def under(now: state.Context) -> str:
    """Return what is shown: which policies, day, seed, and the two changes that an operator asks about first."""
    day = now.clock.start.strftime("%A %-d %B")
    if now.candidate is None or now.today is None:
        return f"Today’s policy · {day} · seed {now.seed} · run {now.run_id}"
    words = [f"{state.name_of(now.candidate)} against today’s policy", day, f"seed {now.seed}"]
    for name in ("plant.gpu_temp_max_c", "serving.cost_usd_per_h"):
        change, sense = headlines.change_words(name, state.metric(now.today, name), state.metric(now.candidate, name))
        if sense:
            words.append(f"{METRICS[name].label} {change} {sense}")
    return " · ".join(words)
