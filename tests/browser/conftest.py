"""One console on a fresh store and one browser, shared by the browser tests."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SHOTS = Path(__file__).resolve().parent / "screenshots"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZES = {"wide": (1440, 900), "narrow": (390, 844)}
# The server has nothing to add, and nothing was put on the page for a moment: a script that is about to run again is idle too.
IDLE = """() => {
    const seen = (window.intentwinQuiet ??= {});
    if (!seen.since) {
        const touched = () => { seen.since = performance.now(); };
        new MutationObserver(touched).observe(document.body, { childList: true, subtree: true });
        touched();
    }
    if (document.querySelector('[data-testid=stApp]')?.getAttribute('data-test-script-state') !== 'notRunning') {
        seen.since = performance.now();
    }
    return performance.now() - seen.since > 150;
}"""
STARTS_WITHIN_S = 60.0


@dataclass
class Console:
    """A running console, and what its browser complained about."""

    base: str
    home: Path
    browser: Browser
    complaints: list[str] = field(default_factory=list)

    def context(self, size: str = "wide", theme: str = "light") -> BrowserContext:
        """Open a browser context of its own; whatever it logs as an error or asks of another host is a complaint."""
        width, height = SIZES[size]
        made = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if theme == "dark" else "light",
            accept_downloads=True,
            timezone_id="UTC",
        )
        made.set_default_timeout(30_000)
        made.on("request", lambda request: self._asked(request.url))
        made.on("console", lambda message: message.type == "error" and self._logged(message))
        made.on("weberror", lambda error: self.complaints.append(f"page: {error.error}"))
        return made

    def _logged(self, message: ConsoleMessage) -> None:
        self.complaints.append(
            f"console: {message.text} ({message.location.get('url', '')}, on {message.page.url if message.page else '?'})"
        )

    def _asked(self, url: str) -> None:
        if urlsplit(url).scheme not in {"data", "blob"} and not url.startswith(self.base):
            self.complaints.append(f"request: {url}")

    def open(self, page: Page, address: str = "/") -> Page:
        """Open an address of the console and wait until its page stands."""
        page.goto(f"{self.base}{address}")
        return self.settled(page)

    def settled(self, page: Page, timeout_s: float = 30.0) -> Page:
        """Wait until the page has its title and the server has nothing to add."""
        page.wait_for_selector("h1.iw-title", timeout=timeout_s * 1000)
        page.wait_for_function(IDLE, timeout=timeout_s * 1000)
        return page

    def shoot(self, page: Page, name: str) -> None:
        """Leave a screenshot for people to look at."""
        page.wait_for_timeout(500)
        SHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SHOTS / f"{name}.png")


@pytest.fixture(scope="session")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """Start ``intentwin serve`` on an empty store and a free port of this host; stop both at the end."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.fail("Chromium is not on PATH: sh tests/browser/chromium.sh")
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", "from app.cli import main; raise SystemExit(main())", "serve", "--port", str(port)]
    environment = {**os.environ, "INTENTWIN_HOME": str(home)}
    with (home / "serve.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        _healthy(f"http://127.0.0.1:{port}", server, home / "serve.log")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
            yield Console(f"http://127.0.0.1:{port}", home, browser)
            browser.close()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


def _healthy(base: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    until_s = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until_s:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{base}/_stcore/health", timeout=2) as answer:
                if answer.read() == b"ok":
                    return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the console did not start within {STARTS_WITHIN_S:.0f} s:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def ready(console: Console) -> Console:
    """Return the console once its example run is stored."""
    with console.context() as context:
        page = context.new_page()
        page.goto(console.base)
        page.wait_for_selector(".st-key-overview-tiles", timeout=180_000)
    return console
