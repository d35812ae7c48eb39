"""The console starts with one command and ends with one signal."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from twin import run as runs
from twin.store.runs import save


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1) as answer:
            return bool(answer.read().strip() == b"ok")
    except OSError:
        return False


def test_a_terminated_console_leaves_no_server_behind(tiny_run: runs.Run, tmp_path: Path) -> None:
    save(tiny_run, tmp_path)
    port = _free_port()
    command = [sys.executable, "-m", "app.cli", "serve", "--port", str(port)]
    with subprocess.Popen(
        command, env={**os.environ, "INTENTWIN_HOME": str(tmp_path), "INTENTWIN_API_TOKEN": ""}, stdout=subprocess.DEVNULL
    ) as console:
        deadline = time.monotonic() + 60.0
        while not _healthy(port) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert _healthy(port)
        with pytest.raises(urllib.error.HTTPError) as off:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/sessions", timeout=10)
        assert off.value.code == 404
        assert b"the API is off" in off.value.read()
        console.send_signal(signal.SIGTERM)
        assert console.wait(timeout=20) == 0
    assert not _healthy(port)
