"""The one door to language models: bounded, recorded, one line when it fails."""

import json
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from policies import llm
from twin.sources import data_dir

ASK = [{"role": "user", "content": "keep GPUs under 80 C"}]
SCHEMA = {"title": "Answer", "type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": False}


@pytest.fixture(scope="module")
def endpoint():
    """A server on the loopback that speaks the chat protocol; ``says`` is what it replies, ``waits`` whether it never does."""

    class Chat(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            server.asked.append(asked)
            if server.waits:
                threading.Event().wait(5.0)
                return
            body = {"id": "x", "object": "chat.completion", "created": 1, "model": asked["model"]}
            body["choices"] = [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": server.says}}]
            body["usage"] = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
            content = json.dumps(body).encode()
            self.send_response(server.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            """Keep quiet."""

    server = HTTPServer(("127.0.0.1", 0), Chat)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture
def model(endpoint, monkeypatch):
    endpoint.says, endpoint.status, endpoint.waits, endpoint.asked = '{"ok": true}', 200, False, []
    monkeypatch.setenv("OPENAI_API_BASE", f"http://127.0.0.1:{endpoint.server_port}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-key-that-must-not-leak")
    return "openai/some-local-model"


def test_a_model_is_asked_with_the_schema_and_its_reply_is_recorded(model, endpoint):
    reply = llm.complete(ASK, SCHEMA, model=model)
    assert json.loads(reply.text) == {"ok": True}
    assert (reply.tokens_in, reply.tokens_out) == (7, 3)
    assert reply.latency_s > 0
    assert endpoint.asked[0]["response_format"]["json_schema"]["schema"] == SCHEMA
    assert endpoint.asked[0]["temperature"] == 0.0


def test_the_record_of_a_call_holds_no_key_and_no_prompt(model):
    told = json.dumps(llm.complete(ASK, SCHEMA, model=model).record())
    assert "sk-test" not in told
    assert "80 C" not in told


@pytest.mark.parametrize(
    ("says", "status", "words"),
    [("", 200, "empty"), ("x" * 1_000_001, 200, "larger than"), ("no", 401, "refused the key"), ("no", 404, "does not know this model")],
)
def test_what_goes_wrong_is_one_line(model, endpoint, says, status, words):
    endpoint.says, endpoint.status = says, status
    with pytest.raises(llm.ModelError, match=words) as failed:
        llm.complete(ASK, SCHEMA, model=model)
    assert "\n" not in str(failed.value)
    assert "sk-test" not in str(failed.value)


def test_an_endpoint_that_does_not_answer_is_given_up_in_time(model, endpoint):
    endpoint.waits = True
    with pytest.raises(llm.ModelError, match=r"no reply within 0\.3 s"):
        llm.complete(ASK, SCHEMA, model=model, timeout_s=0.3)


def test_nobody_at_the_address_is_one_line(model, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OPENAI_API_BASE", f"http://127.0.0.1:{free.getsockname()[1]}/v1")
    with pytest.raises(llm.ModelError, match="cannot be reached"):
        llm.complete(ASK, SCHEMA, model=model, timeout_s=5.0)


def test_a_call_that_could_cost_more_than_the_budget_is_not_made(model, endpoint):
    with pytest.raises(llm.ModelError, match=r"the budget is 0\.0000 USD"):
        llm.complete(ASK, SCHEMA, model="gpt-4o", budget_usd=0.000001)
    assert endpoint.asked == []


def test_a_reader_of_this_process_answers_like_a_model():
    heard = {}

    def reader(messages, schema, model):
        heard.update(schema=schema, model=model, text=messages[-1]["content"])
        return '{"ok": false}'

    llm.register_provider("intentwin-test", reader)
    reply = llm.complete(ASK, SCHEMA, model="intentwin-test/grammar")
    assert reply.text == '{"ok": false}'
    assert heard == {"schema": SCHEMA, "model": "grammar", "text": "keep GPUs under 80 C"}


def test_registering_a_reader_again_replaces_it():
    llm.register_provider("intentwin-test", lambda messages, schema, model: "one")
    llm.register_provider("intentwin-test", lambda messages, schema, model: "two")
    assert llm.complete(ASK, model="intentwin-test/x").text == "two"


def test_the_environment_names_the_model(monkeypatch):
    monkeypatch.delenv(llm.MODEL_VARIABLE, raising=False)
    assert llm.available() is None
    monkeypatch.setenv(llm.MODEL_VARIABLE, " openai/gpt ")
    assert llm.available() == "openai/gpt"


def test_importing_the_door_does_not_open_it():
    code = "import policies.llm, sys; sys.exit('litellm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=data_dir().parent, check=False).returncode == 0


def test_opening_the_door_reaches_for_nothing_outside():
    code = """
import socket
def refuse(*args, **kwargs): raise SystemExit("reached out to " + repr(args[-1]))
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from policies import llm
llm.register_provider("p", lambda m, s, n: "ok")
assert llm.complete([{"role": "user", "content": "x"}], model="p/q").text == "ok"
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=data_dir().parent, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
