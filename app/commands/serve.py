"""Starts the console."""

import os
import signal
import socket
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from app import token
from app.commands.terminal import Answer, bar, home, say


def serve(arguments: Namespace) -> Answer:
    """Start the console and stay until it ends; the example is computed in the meantime if it is not there yet."""
    opens = token.from_file(Path(arguments.api_token_file)) if arguments.api_token_file else token.from_environment(os.environ)
    _free(arguments.address, arguments.port)
    root = Path(__file__).resolve().parent.parent.parent
    place = home()
    place.mkdir(parents=True, exist_ok=True)
    example = _prepare(place)
    address = f"http://{'localhost' if arguments.address in {'0.0.0.0', '::'} else arguments.address}:{arguments.port}"  # noqa: S104
    say(f"Intentwin: {address}   (store: {place}; stop with Ctrl-C)")
    environment = {**os.environ, "INTENTWIN_HOME": str(place), **({token.VARIABLE: opens} if opens else {})}
    if opens:
        say(f"API: on at {address}/api/v1, for this machine and whoever has the token; see docs/api.md")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(root), environment.get("PYTHONPATH"))))
    command = [
        *(sys.executable, "-m", "streamlit", "run", str(root / "app" / "main.py")),
        *("--server.port", str(arguments.port), "--server.address", arguments.address),
        *("--server.headless", "true", "--logger.hideWelcomeMessage", "true"),
    ]
    # A service manager or container stops us with SIGTERM: take it as Ctrl-C, so that the server never outlives its starter.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with subprocess.Popen(command, env=environment, cwd=root) as console:  # noqa: S603
        try:
            if example is not None:
                _follow(example, place, console)
            code = console.wait()
        except KeyboardInterrupt:
            console.terminate()
            code = 0
    return Answer({"address": address, "exit": code}, (), code)


def _free(address: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise ValueError(
                f"port {port} on {address} cannot be used ({(error.strerror or str(error)).lower()}); try --port {port + 1}"
            ) from None


def _prepare(place: Path) -> str | None:
    """Start the example run in a process of its own where it is missing; the first page shows its progress as well."""
    from app import jobs
    from twin.store.runs import run_ids

    return None if run_ids(place) else jobs.submit("example", {}, place)


def _follow(job_id: str, place: Path, console: "subprocess.Popen[bytes]") -> None:
    from app import jobs

    while console.poll() is None:
        job = jobs.status(job_id, place)
        if job is None or job.over:
            if job is not None and job.state == "failed":
                say(f"the example run failed: {job.error}")
            return
        if sys.stderr.isatty():
            bar(job.done_share, f"example day: {job.text}")
        try:
            console.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            continue
