"""Messages and what led to them."""

import numpy as np
import pytest

from twin.store import states
from twin.tables import Sink
from twin.workloads.negotiation.messages import REMEMBERED, MessageLog
from twin.workloads.negotiation.tables import MESSAGES


def chain(log: MessageLog, t_s: float) -> list[int]:
    event = log.say(t_s, "event", "platform", "platform", "power_short", place="row-1", value=9_000.0, words="row-1 is 9 kW over")
    notice = log.say(t_s, "notice", "global", "workload", "power_emergency", workload="web", vms=12, due_s=t_s + 10.0, cause=event)
    answer = log.say(t_s + 1.0, "answer", "workload", "global", "power_emergency", workload="web", vms=12, value=1.0, cause=notice)
    return [event, notice, answer, log.say(t_s + 10.0, "action", "local", "workload", "shut", workload="web", vms=12, cause=answer)]


def test_a_chain_is_followed_from_its_first_message_to_its_last() -> None:
    log, sink = MessageLog(), Sink({})
    first, second = chain(log, 0.0), chain(log, 60.0)
    log.write(sink)
    table = sink.frames()["messages"]
    assert table.columns == [column.name for column in MESSAGES.columns]
    assert table["message_id"].to_list() == [*first, *second] == list(range(8))
    assert table["cause_id"].to_list() == [-1, 0, 1, 2, -1, 4, 5, 6]
    assert table["chain_id"].to_list() == [0] * 4 + [4] * 4
    assert table["reached_s"].to_list() == table["t_s"].to_list()
    notice = table.row(1, named=True)
    assert (notice["workload_id"], notice["vms"], notice["due_s"], notice["place_id"]) == ("web", 12, 10.0, "")
    assert np.isnan(notice["value"])


def test_what_was_written_is_not_written_again() -> None:
    log, sink = MessageLog(), Sink({})
    log.write(sink)
    assert sink.held_rows == 0
    chain(log, 0.0)
    log.write(sink)
    log.write(sink)
    assert sink.held_rows == 4


def test_a_log_that_goes_on_from_a_snapshot_writes_the_same() -> None:
    log = MessageLog()
    cause = chain(log, 0.0)[-1]
    other = MessageLog()
    other.restore(states.unpack(states.pack(log.snapshot())))
    tables = []
    for each in (log, other):
        sink = Sink({})
        assert each.say(70.0, "effect", "platform", "platform", "row_power", value=-4_000.0, cause=cause) == 4
        each.write(sink)
        tables.append(sink.frames()["messages"])
    assert tables[0].equals(tables[1], null_equal=True)
    assert tables[1]["chain_id"].to_list() == [0] * 5


def test_it_stays_as_large_as_it_is_however_much_is_said() -> None:
    log, sink = MessageLog(), Sink({})
    first = log.say(0.0, "event", "platform", "platform", "capacity_short")
    kept = log.say(0.0, "notice", "global", "workload", "eviction", cause=first)
    for _ in range(REMEMBERED - 2):
        log.say(1.0, "hint", "workload", "global", "vm_priority")
    recent = log.say(2.0, "action", "local", "workload", "evicted", cause=kept)
    forgotten = log.say(3.0, "effect", "platform", "platform", "cores", cause=first)
    log.write(sink)
    state = log.snapshot()
    assert (len(state["chains"]), state["rows"]) == (REMEMBERED, [])
    chains = sink.frames()["messages"]["chain_id"]
    assert (chains[recent], chains[forgotten]) == (first, first)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rumour", "platform", "global"), "rumour from platform to global; kinds are event, hint, notice"),
        (("hint", "nobody", "global"), "parties platform, global, local, workload"),
    ],
)
def test_other_kinds_and_parties_are_refused(words: tuple[str, str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        MessageLog().say(0.0, *words, "x")


@pytest.mark.parametrize("cause", [0, 7, -2])
def test_a_cause_that_is_yet_to_come_is_refused(cause: int) -> None:
    with pytest.raises(ValueError, match=f"no message has the number {cause}; name one that was said before, or -1"):
        MessageLog().say(0.0, "event", "platform", "platform", "x", cause=cause)
