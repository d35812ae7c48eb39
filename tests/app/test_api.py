"""Programs negotiate over HTTP: with the token, in bounds, and their log replays."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.api import PATH, Api
from app.api.guard import BURST, Buckets, Guard
from app.api.refusals import TooMany
from app.api.sessions import IDLE_S, Sessions
from app.cli import main
from app.entry import SecurityHeaders
from policies import live
from twin.store import runs

TOKEN = "a-token-that-is-long-enough"
HEARD = {"name": "hints heard", "levers": {"offers": [{"system": "workload_intelligence"}]}}
OPENS = {
    "availability_nines": 1,
    "scale_up_down": True,
    "stateless": "full",
    "delay_tolerance_s": 3600,
    "preemptibility_share": 1.0,
    "preemptible": True,
}


def _client(environment: dict[str, str], client: str = "127.0.0.1", token: str | None = TOKEN) -> TestClient:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    app = SecurityHeaders(Starlette(routes=Api(environment).routes()))
    return TestClient(app, f"http://localhost{PATH}", client=(client, 5000), headers=headers, raise_server_exceptions=False)


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """An open API on an empty store."""
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    with _client({"INTENTWIN_API_TOKEN": TOKEN}) as client:
        yield client


def _begin(api: TestClient, **asked: Any) -> str:
    answer = api.post("/sessions", json={"scenario": "negotiation", "policy": HEARD, **asked})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _hints(of: str = "orders", scope: str = "workload", **said: Any) -> list[dict[str, Any]]:
    return [{"scope": scope, "of": of, "key": key, "value": value} for key, value in said.items()]


# -- the door ---------------------------------------------------------------------


def test_without_a_token_in_the_environment_there_is_no_api() -> None:
    for environment in ({}, {"INTENTWIN_API_TOKEN": "  "}):
        answer = _client(environment).post("/sessions", json={"scenario": "negotiation"})
        assert answer.status_code == 404
        assert "the API is off" in answer.json()["error"]


@pytest.mark.parametrize("token", ["short", "x" * 600, "a token with blanks in it", "ein-länger-als-sechzehn-token"])
def test_a_token_that_is_no_good_is_refused_at_the_start(token: str) -> None:
    with pytest.raises(ValueError, match="INTENTWIN_API_TOKEN: the token has"):
        Api({"INTENTWIN_API_TOKEN": token})


@pytest.mark.parametrize("token", [None, "", "another-token-long-enough", f"{TOKEN}x", TOKEN[:-1]])
def test_nothing_is_told_without_the_token(token: str | None) -> None:
    client = _client({"INTENTWIN_API_TOKEN": TOKEN}, token=token)
    for method, path in (("GET", "/sessions"), ("POST", "/sessions"), ("GET", "/sessions/x/grants"), ("GET", "/nothing")):
        answer = client.request(method, path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "token" in answer.json()["error"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_other_machines_are_let_in_only_where_that_is_said() -> None:
    for client, status in (("127.0.0.1", 200), ("::1", 200), ("::ffff:127.0.0.1", 200), ("10.0.0.7", 403), ("testclient", 403)):
        assert _client({"INTENTWIN_API_TOKEN": TOKEN}, client).get("/sessions").status_code == status
    assert _client({"INTENTWIN_API_TOKEN": TOKEN, "INTENTWIN_API_REMOTE": "yes"}, "10.0.0.7").get("/sessions").status_code == 200


def test_a_flood_is_told_to_wait_and_another_client_is_not() -> None:
    now_s = [0.0]
    buckets = Buckets(lambda: now_s[0])
    told = [buckets.take("one", 1.0) for _ in range(int(BURST) + 1)]
    assert set(told[:-1]) == {0.0}
    assert told[-1] == pytest.approx(0.02)
    assert buckets.take("two", 1.0) == 0.0
    now_s[0] = 1.0
    assert [buckets.take("one", 1.0) > 0.0 for _ in range(51)] == [False] * 50 + [True]
    guarded = Guard(Starlette(), TOKEN, buckets=Buckets(lambda: 0.0))
    client = TestClient(guarded, client=("127.0.0.1", 1), headers={"Authorization": f"Bearer {TOKEN}"})
    answers = [client.get("/") for _ in range(int(BURST) + 20)]
    assert [answer.status_code for answer in answers] == [404] * int(BURST) + [429] * 20
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert "a second; wait a moment" in answers[-1].json()["error"]
    other = TestClient(guarded, client=("127.0.0.2", 1), headers={"Authorization": f"Bearer {TOKEN}"})
    assert other.get("/").status_code == 404


def test_guessing_tokens_is_slow() -> None:
    client = _client({"INTENTWIN_API_TOKEN": TOKEN}, token="guess-guess-guess-guess")
    statuses = [client.get("/sessions").status_code for _ in range(30)]
    assert statuses.count(401) < 12
    assert statuses[-1] == 429


def test_only_requests_pass_the_guard() -> None:
    passed = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        passed.append(scope["type"])

    import asyncio

    guard = Guard(inner, TOKEN)
    headers = [(b"authorization", f"Bearer {TOKEN}".encode())]
    asyncio.run(guard({"type": "websocket", "client": ("127.0.0.1", 1), "headers": headers}, None, None))  # type: ignore[arg-type]
    asyncio.run(guard({"type": "http", "client": ("127.0.0.1", 1), "headers": headers}, None, None))  # type: ignore[arg-type]
    assert passed == ["http"]


# -- bad input --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"{", 422, "the body is no JSON"),
        (b"\xff\xfe{}", 422, "the body is no JSON"),
        (b"[" * 60_000, 422, "the body is no JSON"),
        (b'{"scenario": NaN}', 422, "the body is no JSON"),
        (b'{"scenario": "x", "a": "' + b"x" * 70_000 + b'"}', 413, "the body has more than 64 KiB"),
        (b"{}", 422, "scenario: Field required"),
        (b'"negotiation"', 422, "the body: Input should be"),
        (b'{"scenario": "../../etc/passwd"}', 422, "scenario: String should match pattern"),
        (b'{"scenario": "/tmp/x.toml"}', 422, "scenario: String should match pattern"),
        (b'{"scenario": "negotation"}', 422, "scenario 'negotation' is unknown; did you mean negotiation?"),
        (b'{"scenario": "tiny"}', 422, "nobody negotiates; name tenants"),
        (b'{"scenario": "negotiation", "seed": -1}', 422, "seed: Input should be greater"),
        (b'{"scenario": "negotiation", "speed": 1e9}', 422, "speed: Input should be less"),
        (b'{"scenario": "negotiation", "policy": "README"}', 422, "is neither a file nor known to the ledger"),
        (b'{"scenario": "negotiation", "policy": "policies/x.json"}', 422, "policy"),
        (b'{"scenario": "negotiation", "policy": {"levers": {"offers": [{"system": "magic"}]}}}', 422, "magic"),
        (b'{"scenario": "negotiation", "path": "/etc/passwd"}', 422, "path: Extra inputs are not permitted"),
    ],
)
def test_a_session_that_cannot_be_is_refused_in_one_line(api: TestClient, body: bytes, status: int, told: str) -> None:
    answer = api.post("/sessions", content=body)
    assert answer.status_code == status
    assert told in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert api.get("/sessions").json() == {"sessions": []}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("POST", "advance", {}, 422, "write one of to_s, by_s and speed"),
        ("POST", "advance", {"to_s": 60, "by_s": 60}, 422, "write one of to_s, by_s and speed"),
        ("POST", "advance", {"to_s": "60"}, 422, "to_s: Input should be a valid number"),
        ("POST", "advance", {"to_s": 1e6}, 422, "to_s: 1e+06 is not ahead"),
        ("POST", "advance", {"by_s": -1}, 422, "by_s: Input should be greater"),
        ("POST", "hints", [], 422, "the body: List should have at least 1 item"),
        ("POST", "hints", {}, 422, "the body: Input should be a valid list"),
        ("POST", "hints", _hints(stateless="full") * 1001, 413, "64 KiB"),
        ("POST", "hints", _hints(stateless="very"), 422, "hint stateless: 'very' is not none, partial or full"),
        ("POST", "hints", _hints(statless="full"), 422, "did you mean stateless"),
        ("POST", "hints", _hints("order", stateless="full"), 422, "did you mean orders"),
        ("POST", "hints", _hints(stateless=[1]), 422, "0.value"),
        ("POST", "hints", _hints(scope="rack", stateless=1), 422, "0.scope"),
        ("POST", "hints", _hints("orders/host-vm-0", "vm", preemptibility_share=1.0), 422, "a VM says preemptible"),
        ("POST", "answers", {"notice": 99, "answer": "accepted"}, 422, "notice: none has the number 99"),
        ("POST", "answers", {"notice": "eviction", "answer": "accepted"}, 422, "write scope and of"),
        ("POST", "answers", {"notice": "evicton", "answer": "accepted", "scope": "workload", "of": "orders"}, 422, "column notice"),
        ("POST", "answers", {"notice": 1, "answer": "perhaps"}, 422, "0.answer: Input should be 'accepted' or 'declined'"),
        ("GET", "notices?after=x", None, 422, "after: 'x' is not a whole number"),
        ("GET", "notices?after=99999999999999999999", None, 422, "after"),
        ("GET", "grants?limit=0", None, 422, "limit: '0' is not a whole number from 1 to 10000"),
        ("GET", "grants?workload=nobody", None, 404, "no workload is called 'nobody' here; there are: orders, reports"),
        ("GET", "notices/stream?workload=nobody", None, 404, "no workload is called"),
        ("POST", "close", {"name": "../x"}, 422, "name: String should match pattern"),
        ("GET", "secrets", None, 404, "there is nothing here"),
        ("DELETE", "", None, 405, "DELETE is not answered here"),
    ],
)
def test_what_cannot_be_asked_of_a_session_is_refused_in_one_line(
    bad: tuple[TestClient, str], method: str, path: str, body: Any, status: int, told: str
) -> None:
    api, session = bad
    answer = api.request(method, f"/sessions/{session}/{path}".rstrip("/"), json=body)
    assert answer.status_code == status, answer.text
    assert told in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    state = api.get(f"/sessions/{session}").json()
    assert (state["t_s"], state["said"]) == (0.0, 0)


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, str]]:
    """An API with one session that nothing bad gets into, and no limit to how often it is asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTENTWIN_HOME", str(tmp_path_factory.mktemp("bad")))
        patch.setattr("app.api.guard.RATE_PER_S", 1e6)
        with _client({"INTENTWIN_API_TOKEN": TOKEN}) as client:
            yield client, _begin(client)


# -- a session ----------------------------------------------------------------------


def test_a_program_opens_its_workload_up_and_is_granted_and_told(api: TestClient) -> None:
    one = f"/sessions/{_begin(api)}"
    assert api.post(f"{one}/advance", json={"by_s": 120}).json()["t_s"] == 120.0
    before = api.get(f"{one}/grants?workload=orders&limit=10000").json()
    assert before["vms"] == len(before["grants"]) > 100
    assert all(grant["granted"] == [] and grant["usd_per_h"] == grant["regular_usd_per_h"] for grant in before["grants"])
    said = api.post(f"{one}/hints", json=_hints(**OPENS)).json()
    assert said == {"t_s": 120.0, "taken": 6, "values": [1.0, 1.0, 2.0, 3600.0, 1.0, 1.0]}
    went = api.post(f"{one}/advance", json={"to_s": 900}).json()
    assert (went["reached"], went["t_s"], went["at"]) == (True, 900.0, "2026-07-14T13:15:00-07:00")
    granted = [grant for grant in api.get(f"{one}/grants?workload=orders&limit=10000").json()["grants"] if grant["granted"]]
    assert granted
    assert all(grant["usd_per_h"] < grant["regular_usd_per_h"] for grant in granted)
    told = api.get(f"{one}/notices?workload=orders").json()["notices"]
    assert "price_change" in {notice["kind"] for notice in told}
    first = next(notice for notice in told if notice["vm_ids"])
    assert first["vms"] == len(first["vm_ids"])
    assert api.get(f"{one}/notices?after={told[-1]['id']}&workload=orders").json()["notices"] == []
    page = api.get(f"{one}/grants?workload=orders&since=3&limit=2").json()["grants"]
    assert [grant["vm"] for grant in page] == [grant["vm"] for grant in api.get(f"{one}/grants?workload=orders&limit=5").json()["grants"]][
        3:
    ]


def test_an_answer_reaches_the_open_notice(api: TestClient) -> None:
    one = f"/sessions/{_begin(api)}"
    api.post(f"{one}/hints", json=_hints(**OPENS))
    after, declined = -1, 0
    while not declined and api.get(one).json()["t_s"] < 7200.0:
        api.post(f"{one}/advance", json={"by_s": 600, "until_notice": True})
        for notice in api.get(f"{one}/notices?after={after}").json()["notices"]:
            after = notice["id"]
            if notice["kind"] == "eviction":
                answer = api.post(f"{one}/answers", json={"notice": notice["id"], "answer": "declined"}).json()
                assert answer["open_vms"] == [notice["vms"]]
                declined += notice["vms"]
    assert declined
    told = api.post(f"{one}/answers", json={"notice": after, "answer": "accepted", "scope": "vm", "of": notice["vm_ids"][0]})
    assert told.json()["open_vms"] == [1]


def test_the_command_that_closing_names_makes_a_run_with_the_sessions_grants(
    api: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = f"/sessions/{_begin(api, seed=11)}"
    api.post(f"{one}/advance", json={"by_s": 300})
    api.post(f"{one}/hints", json=_hints(**OPENS))
    api.post(f"{one}/advance", json={"by_s": 600})
    for notice in api.get(f"{one}/notices?workload=orders").json()["notices"]:
        api.post(f"{one}/answers", json={"notice": notice["id"], "answer": "accepted"})
    api.post(f"{one}/advance", json={"to_s": 7200})
    last = api.get(f"{one}/grants?limit=10000").json()["grants"]
    told = api.get(f"{one}/notices?limit=10000").json()["notices"]
    closed = api.post(f"{one}/close", json={"name": "monday"}).json()
    assert closed["line"] == 'workloads.negotiation.messages = "import:monday"'
    assert closed["command"] == "intentwin run negotiation --messages monday --seed 11 --policy policy.json"
    assert closed["policy"] == HEARD
    assert api.get(one).status_code == 404
    monkeypatch.chdir(tmp_path)
    Path("policy.json").write_text(json.dumps(closed["policy"]))
    assert main([*closed["command"].split()[1:], "--json"]) == 0
    run = runs.load(json.loads(capsys.readouterr().out)["run_id"], tmp_path)
    granted = dict(run.tables["grants"].collect().unique("vm_id", keep="last").select("vm_id", "granted").iter_rows())
    assert {grant["vm"]: "+".join(grant["granted"]) for grant in last} == {grant["vm"]: granted.get(grant["vm"], "") for grant in last}
    messages = run.tables["messages"].filter(kind="notice").collect()
    assert messages["message_id"].to_list() == [notice["id"] for notice in told]
    assert messages["words"].to_list() == [notice["words"] for notice in told]


def test_a_name_that_is_taken_leaves_the_session_open_and_one_that_said_nothing_leaves_no_log(api: TestClient) -> None:
    first, second = f"/sessions/{_begin(api)}", f"/sessions/{_begin(api)}"
    api.post(f"{first}/hints", json=_hints(stateless="full"))
    assert api.post(f"{first}/close", json={"name": "mine"}).json()["log"] == "mine"
    api.post(f"{second}/hints", json=_hints(stateless="partial"))
    refused = api.post(f"{second}/close", json={"name": "mine"})
    assert refused.status_code == 422
    assert "an import named 'mine' is there already with other contents" in refused.json()["error"]
    assert api.post(f"{second}/advance", json={"by_s": 60}).json()["t_s"] == 60.0
    assert api.post(f"{second}/close").json()["log"].startswith("live-")
    third = f"/sessions/{_begin(api)}"
    assert api.post(f"{third}/close").json()["log"] is None


def test_two_sessions_side_by_side_do_not_touch(api: TestClient) -> None:
    ones = [f"/sessions/{_begin(api)}" for _ in range(2)]
    api.post(f"{ones[0]}/hints", json=_hints(**OPENS))
    threads = [threading.Thread(target=api.post, args=(f"{one}/advance",), kwargs={"json": {"by_s": 1800}}) for one in ones]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    states = [api.get(one).json() for one in ones]
    assert [state["t_s"] for state in states] == [1800.0, 1800.0]
    granted = [any(grant["granted"] for grant in api.get(f"{one}/grants?workload=orders&limit=10000").json()["grants"]) for one in ones]
    assert granted == [True, False]
    assert [state["said"] for state in states] == [6, 0]
    again = f"/sessions/{_begin(api)}"
    api.post(f"{again}/advance", json={"by_s": 1800})
    same = [api.get(f"{one}/notices?limit=10000").json() for one in (ones[1], again)]
    assert same[0] == same[1]


def test_requests_do_not_queue_for_a_session_until_nobody_else_gets_a_turn(api: TestClient) -> None:
    one, other = f"/sessions/{_begin(api)}", f"/sessions/{_begin(api)}"
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(api.post(f"{one}/advance", json={"by_s": 3600}).status_code)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    assert api.post(f"{other}/advance", json={"by_s": 60}).json()["t_s"] == 60.0
    for thread in threads:
        thread.join(60)
    assert set(answers) == {200, 429}
    assert answers.count(200) >= 2


def test_no_more_sessions_than_four(api: TestClient) -> None:
    ids = [_begin(api) for _ in range(4)]
    refused = api.post("/sessions", json={"scenario": "negotiation"})
    assert (refused.status_code, "4 sessions are open" in refused.json()["error"]) == (429, True)
    api.post(f"/sessions/{ids[0]}/close")
    assert len(api.get("/sessions").json()["sessions"]) == 3
    _begin(api)


def test_a_pace_goes_on_by_itself_until_it_is_stopped(api: TestClient) -> None:
    one = f"/sessions/{_begin(api, speed=3600)}"
    until_s = time.monotonic() + 30.0
    while api.get(one).json()["t_s"] < 180.0 and time.monotonic() < until_s:
        time.sleep(0.05)
    refused = api.post(f"{one}/advance", json={"by_s": 60})
    assert (refused.status_code, "stop it first with speed 0" in refused.json()["error"]) == (409, True)
    api.post(f"{one}/hints", json=_hints(stateless="full"))
    stopped = api.post(f"{one}/advance", json={"speed": 0}).json()
    assert (stopped["speed"], stopped["trouble"]) == (0.0, "")
    assert stopped["t_s"] >= 180.0
    time.sleep(0.2)
    assert api.get(one).json()["t_s"] == stopped["t_s"]
    assert api.post(f"{one}/advance", json={"by_s": 60}).json()["reached"]


@pytest.mark.parametrize("events", [False, True])
def test_a_stream_tells_each_notice_once_and_ends_with_the_session(api: TestClient, events: bool) -> None:
    one = f"/sessions/{_begin(api, speed=3600)}"
    api.post(f"{one}/hints", json=_hints(**OPENS))
    closing = threading.Timer(2.0, lambda: api.post(f"{one}/close"))
    closing.start()
    with api.stream("GET", f"{one}/notices/stream", headers={"Accept": "text/event-stream"} if events else {}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream" if events else "application/x-ndjson")
        lines = [line for line in answer.iter_lines() if line]
    closing.join()
    told = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: " if events else "{")]
    assert told
    numbers = [notice["id"] for notice in told]
    assert numbers == sorted(set(numbers))
    if events:
        assert [line for line in lines if line.startswith("id: ")] == [f"id: {number}" for number in numbers]


def test_a_session_nobody_asks_for_is_closed_and_its_log_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    now_s = [0.0]
    sessions = Sessions(tmp_path, lambda: now_s[0])
    session = sessions.begin("negotiation", "today", None)
    with session.held() as twin:
        twin.say([live.Said("workload", "orders", "stateless", "full")])
    now_s[0] = IDLE_S - 1.0
    sessions.look()
    assert sessions.all() == [session]
    session.touch()
    now_s[0] += IDLE_S + 1.0
    sessions.look()
    assert sessions.all() == []
    assert (tmp_path / "imports" / "hints-log" / f"live-{session.session_id}.parquet").is_file()
    sessions.stop()
    with pytest.raises(TooMany):
        sessions.begin("negotiation", "today", None)


def test_a_program_learns_which_of_its_hints_are_heard(api: TestClient) -> None:
    one = f"/sessions/{_begin(api)}"
    api.post(f"{one}/advance", json={"by_s": 60})
    vm = api.get(f"{one}/grants?workload=orders&limit=1").json()["grants"][0]["vm"]
    api.post(f"{one}/hints", json=_hints(delay_tolerance_s=1800))
    # Four nines stand against being evicted; of twelve hints at once about one VM ten are heard.
    api.post(f"{one}/hints", json=_hints(vm, "vm", availability_nines=4, preemptible=True))
    api.post(f"{one}/hints", json=[hint for level in range(9) for hint in _hints(vm, "vm", vm_priority=level)])
    told = {(hint["of"], hint["key"]): hint for hint in api.get(f"{one}/hints").json()["hints"]}
    assert {hint["state"] for hint in told.values()} == {"on its way"}
    api.post(f"{one}/advance", json={"by_s": 180})
    answer = api.get(f"{one}/hints").json()
    told = {(hint["of"], hint["key"]): hint for hint in answer["hints"]}
    assert answer["said"] == 4
    whole = told["orders", "delay_tolerance_s"]
    assert (whole["state"], whole["value"], whole["workload"]) == ("heard", 1800.0, "orders")
    assert whole["vms"] > 100
    evicted = told[vm, "preemptible"]
    assert (evicted["state"], "availability_nines" in evicted["against"], evicted["in_force_vms"]) == ("overruled", True, 0)
    assert (told[vm, "vm_priority"]["value"], told[vm, "vm_priority"]["state"]) == (8.0, "limited")
    assert api.get(f"{one}/hints?workload=orders&limit=1").json()["hints"] == [whole]
