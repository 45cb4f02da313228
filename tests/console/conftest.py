"""A real service behind Envoy, with messages, and a real Chromium to look at it. Pictures of failed tests are kept in
``test-artifacts/console``."""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from memory_grpc.app import running
from memory_grpc.local.envoy import EnvoyProcess
from memory_grpc.settings import Settings
from tests.conftest import TEMPLATE, _database, free_port, settings_for_tests

KEY = "the-key-of-the-console-s-tests"
# Markup and script in whatever a user can fill; the browser must show every letter of it.
CANARY = """'"><img src=x onerror="window.harmed=1"><script>window.harmed=1</script>{{7*7}}"""
ARTEFACTS = Path(__file__).parents[2] / "test-artifacts" / "console"
_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""
_failed = pytest.StashKey[bool]()


@dataclass
class Site:
    """The running service, and what is stored in it."""

    url: str
    http: httpx.Client
    tenants: list[str] = field(default_factory=list)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer's JSON."""
        answer = self.http.post(path, json=body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def say(self, content: str, **fields: Any) -> None:
        """Stores a message of acme's."""
        self.post(
            "/v1/messages", {"tenant_id": "acme", "conversation_id": "c-1", "role": "user", "content": content} | fields
        )


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where the browser is."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make install")
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("there is no Chromium to test the console in: apt-get install chromium")


# Until the end of the folder and no longer: playwright has an event loop in this thread, beside which no other runs.
@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Any]:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def site(chromium: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service with a key, in a thread of its own, and Envoy in front of it. Only where there is a browser."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(Settings.model_config, "env_file", None)
        ports = {"grpc_port": free_port(), "metrics_port": free_port(), "http_port": free_port()}
        settings = settings_for_tests(api_keys=KEY, **ports)
    databases = _database(template, TEMPLATE)
    stop = _serve(settings, next(databases))
    envoy = EnvoyProcess(settings, tmp_path_factory.mktemp("console") / "envoy")
    url = f"http://127.0.0.1:{settings.http_port}"
    try:
        envoy.start()
        envoy.wait_ready()
        with httpx.Client(base_url=url, headers={"x-api-key": KEY}, timeout=30, trust_env=False) as http:
            found = Site(url, http, ["acme", CANARY[:64]])
            _fill(found)
            yield found
    finally:
        envoy.stop(0.0)
        stop()
        with suppress(StopIteration):
            next(databases)


def _serve(settings: Settings, dsn: str) -> Callable[[], None]:
    """Serves until the function that it returns is called."""
    loop, up, down = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with running(settings, dsn):
            up.set()
            await down.wait()

    def work() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=work, name="service")
    thread.start()
    assert up.wait(60)

    def stop() -> None:
        loop.call_soon_threadsafe(down.set)
        thread.join(30)

    return stop


def _fill(site: Site) -> None:
    for day in range(1, 13):
        said = {"user_id": f"u-{day % 3}", "metadata": {"source": "web"}, "created_at": f"2025-{day:02}-07T10:00:00Z"}
        site.say(f"Caroline said in month {day} that she paints lakes", name="Caroline", **said)
    site.say("I love Python programming and machine learning", conversation_id="c-2", user_id="u-9", pinned=True)
    site.post(
        "/v1/messages",
        {
            "tenant_id": CANARY[:64],
            "conversation_id": CANARY,
            "user_id": CANARY,
            "role": "user",
            "name": CANARY[:64],
            "content": f"harmless {CANARY}",
            "metadata": {CANARY[:60]: CANARY, "source": CANARY},
        },
    )
    key = {"label": CANARY[:90], "role": "reader", "tenant_ids": [CANARY[:64]]}
    site.post("/v1/admin/api-keys", key)


@pytest.fixture
def page(browser: Any, site: Site, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A tab that has opened nothing yet. It must end without a script's error, a dialog or a breach of the policy."""
    context = browser.new_context(
        base_url=site.url, viewport={"width": 1200, "height": 900}, locale="en-GB", timezone_id="Europe/Berlin"
    )
    context.add_init_script(_WATCH)
    context.set_default_timeout(10_000)
    tab = context.new_page()
    wrong: list[str] = []
    tab.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    tab.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    yield tab
    if request.node.stash.get(_failed, False):
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        tab.screenshot(path=ARTEFACTS / f"{re.sub(r'[^a-z0-9]+', '-', request.node.name)}.png", full_page=True)
    violations = tab.evaluate("window.violations || []")
    context.close()
    assert wrong == []
    assert violations == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[_failed] = report.failed
    return report


@pytest.fixture
def console(page: Any) -> Any:
    """The console, with the key and the tenant acme."""
    enter(page, "acme")
    return page


def enter(page: Any, tenant: str) -> None:
    """Opens the console as a newcomer does."""
    page.goto("/")
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Use key").click()
    page.get_by_label("Tenant", exact=True).first.fill(tenant)
    page.get_by_role("button", name="Open", exact=True).click()


def visit(page: Any, view: str) -> None:
    """Opens a view by its link, and waits until nothing of it is being loaded."""
    page.get_by_role("navigation").get_by_role("link", name=view, exact=True).click()
    page.get_by_role("heading", level=1, name=view, exact=True).wait_for()
    settled(page)


def settled(page: Any) -> None:
    """Waits until nothing is being loaded."""
    page.wait_for_selector("[aria-busy]", state="detached")
