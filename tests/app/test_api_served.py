"""The API on the console's own server: the client of the README, and the end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from twin import run as run_of
from twin.store.runs import save

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "0123456789abcdef-of-a-test"
LOG = "imports/hints-log"


@dataclass
class Server:
    """A console with the API on, on an empty store."""

    port: int
    home: Path
    process: "subprocess.Popen[str]"

    def ask(self, path: str, body: Any = None, token: str = TOKEN, timeout_s: float = 60.0) -> Any:
        """Open a route and return the answer."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}"
        content = None if body is None else json.dumps(body).encode()
        return urllib.request.urlopen(urllib.request.Request(url, content, {"Authorization": f"Bearer {token}"}), timeout=timeout_s)


@pytest.fixture
def server(tiny_run: run_of.Run, tmp_path: Path) -> Iterator[Server]:
    save(tiny_run, tmp_path)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "app.cli", "serve", "--port", str(port), "--api-token-file", str(tmp_path / "token")]
    environment = {**os.environ, "INTENTWIN_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        made = Server(port, tmp_path, process)
        until_s = time.monotonic() + 60.0
        while time.monotonic() < until_s and process.poll() is None:
            try:
                made.ask("sessions", timeout_s=2.0).read()
                break
            except OSError:
                time.sleep(0.2)
        yield made
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def test_the_readmes_client_negotiates_with_the_consoles_server(server: Server) -> None:
    snippet = next(part for part in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S) if "api/v1" in part)
    assert sum(bool(line) for line in snippet.splitlines()) == 10, "ten lines, besides empty ones"
    environment = {**os.environ, "INTENTWIN_API_TOKEN": TOKEN}
    code = snippet.replace("127.0.0.1:8501", f"127.0.0.1:{server.port}")
    done = subprocess.run([sys.executable, "-I", "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    granted = re.search(r"'granted': \[(.+?)\]", done.stdout)
    assert granted is not None, done.stdout
    assert "intentwin run negotiation --messages monday --seed 7 --policy policy.json" in done.stdout
    assert (server.home / LOG / "monday.parquet").is_file()


def test_answers_bear_the_security_headers_and_the_wrong_token_gets_none(server: Server) -> None:
    with server.ask("sessions") as answer:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert json.load(answer) == {"sessions": []}
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.ask("sessions", token="another-token-long-enough")
    assert refused.value.code == 401
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/", timeout=20) as page:
        assert b"<title>Intentwin<" in page.read()


def test_a_server_that_is_stopped_ends_streams_and_keeps_what_was_said(server: Server) -> None:
    policy = {"levers": {"offers": [{"system": "workload_intelligence"}]}}
    session = json.load(server.ask("sessions", {"scenario": "negotiation", "policy": policy, "speed": 600}))["id"]
    server.ask(f"sessions/{session}/hints", [{"scope": "workload", "of": "orders", "key": "delay_tolerance_s", "value": 60}]).read()
    heard: list[bytes] = []

    def listen() -> None:
        with server.ask(f"sessions/{session}/notices/stream") as stream:
            heard.extend(line for line in stream if line.strip())

    listener = threading.Thread(target=listen)
    listener.start()
    until_s = time.monotonic() + 60.0
    while not heard and time.monotonic() < until_s:
        time.sleep(0.1)
    assert json.loads(heard[0])["kind"]
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    listener.join(10)
    assert not listener.is_alive()
    assert (server.home / LOG / f"live-{session}.parquet").is_file()
    assert server.process.stderr is not None
    told = server.process.stderr.read()
    assert f"API: on at http://127.0.0.1:{server.port}/api/v1" in told
    assert TOKEN not in told


@pytest.mark.parametrize("content", ["", "short", "one two three four five", "ü" * 20])
def test_a_token_file_that_is_no_good_stops_the_start_in_one_line(content: str, tmp_path: Path) -> None:
    from app.cli import main

    (tmp_path / "token").write_text(content)
    assert main(["serve", "--api-token-file", str(tmp_path / "token")]) == 2
    assert main(["serve", "--api-token-file", str(tmp_path / "none")]) == 2
