"""What users wrote is shown, and never run; the key is in the tab's memory, and nowhere else."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect

from tests.console.conftest import CANARY, KEY, Site, enter, settled, visit
from tests.console.test_views import VIEWS

_INLINE = """() => {
  const script = document.createElement("script");
  script.textContent = "window.harmed = 1";
  document.body.append(script);
}"""


def test_nothing_that_a_user_can_fill_is_run(page: Any, site: Site) -> None:
    tenant = CANARY[:64]
    enter(page, tenant)
    places = {
        "Users": CANARY,
        "Conversations": CANARY,
        "Messages": f"harmless {CANARY}",
        "Keys": CANARY[:90],
        "Audit": tenant,
        "Tenants": tenant,
    }
    for view, text in places.items():
        visit(page, view)
        expect(page.get_by_role("main")).to_contain_text(text)
    visit(page, "Messages")
    page.get_by_text("Metadata", exact=True).click()
    expect(page.locator(".message header strong")).to_have_text(CANARY[:64])
    assert "onerror" in page.locator(".message pre").text_content()
    visit(page, "Search")
    page.get_by_label("Question").fill(CANARY)
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".message .content")).to_have_text(f"harmless {CANARY}")
    visit(page, "Context")
    page.get_by_label("Question").fill("harmless")
    page.get_by_role("button", name="Build").click()
    expect(page.get_by_role("main")).to_contain_text(CANARY)
    visit(page, "Policy")
    page.get_by_role("button", name="Simulate").click()
    expect(page.locator("figure.chart")).to_have_count(2)
    page.get_by_role("button", name="Set policy").click()
    expect(page.get_by_role("dialog")).to_contain_text(tenant)
    page.keyboard.press("Escape")
    visit(page, "Erasure")
    page.get_by_label("Everything of the user").fill(CANARY)
    page.get_by_role("button", name="Plan").click()
    page.get_by_text("A sample of 1").click()
    expect(page.get_by_role("main")).to_contain_text(f"harmless {CANARY}")
    page.get_by_role("button", name="Erase…").click()
    expect(page.get_by_role("dialog")).to_contain_text(tenant)
    page.keyboard.press("Escape")
    visit(page, "Jobs")
    expect(page.get_by_role("main")).to_contain_text(tenant)
    assert page.evaluate("window.harmed") is None
    assert page.locator("img, main script").count() == 0


def test_the_policy_of_the_page_lets_nothing_else_in(page: Any, site: Site) -> None:
    policy = page.goto("/console").header_value("content-security-policy")
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    page.evaluate(_INLINE)
    assert page.evaluate("window.harmed") is None
    assert page.evaluate("window.violations.splice(0).length") == 1


def test_the_key_is_kept_nowhere(console: Any, site: Site) -> None:
    asked: list[str] = []
    console.on("request", lambda request: asked.append(request.url))
    for view in VIEWS:
        visit(console, view)
    kept = console.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href, history.state])"
    )
    assert KEY not in kept
    assert all(KEY not in url and url.startswith(site.url) for url in asked)
    assert console.context.cookies() == []
    assert KEY not in console.content()
    assert console.get_by_label("API key").input_value() == ""
    console.reload()
    console.get_by_label("Tenant", exact=True).first.fill("acme")
    console.get_by_role("button", name="Open", exact=True).click()
    settled(console)
    expect(console.get_by_label("API key")).to_have_attribute("aria-invalid", "true")


def test_the_documentation_opens_on_a_first_call_and_keeps_its_key_for_the_tab(page: Any, site: Site) -> None:
    page.goto("/docs")
    call = page.locator("#operations-MemoryService-IngestMessage")
    expect(call.locator("textarea").first).to_have_value(re.compile('"tenant_id": "acme"'))
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".auth-container input").first.fill(KEY)
    page.locator(".auth-container").get_by_role("button", name="Authorize", exact=False).first.click()
    page.get_by_role("button", name="Close").first.click()
    page.reload()
    call.get_by_role("button", name="Execute").click()
    expect(call.locator(".live-responses-table .response .response-col_status").first).to_contain_text("202")
    assert page.evaluate("JSON.stringify({...localStorage})") == "{}"
    other = page.context.new_page()
    other.goto("/docs")
    assert other.evaluate("JSON.stringify({...sessionStorage})") == "{}"
