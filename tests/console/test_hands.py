"""The console without a mouse, on a phone, and in the dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.console.conftest import CANARY, KEY, enter, visit
from tests.console.test_views import VIEWS

# What has less contrast than WCAG AA asks of a text.
_FAINT = (Path(__file__).parent / "faint.js").read_text()


def focused(page: Any) -> str:
    """The name of what has the focus."""
    name: str = page.evaluate("(document.activeElement.labels?.[0] || document.activeElement).textContent.trim()")
    return name


def tab_to(page: Any, name: str) -> None:
    """Presses Tab until the thing of that name has the focus, which must then be seen."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if focused(page) == name:
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            return
    raise AssertionError(f"Tab never reaches {name}")


def test_everything_is_done_by_keyboard(page: Any) -> None:
    page.goto("/console")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.reload()
    tab_to(page, "Tenant")
    page.keyboard.type("acme")
    page.keyboard.press("Enter")
    tab_to(page, "API key")
    page.keyboard.type(KEY)
    page.keyboard.press("Enter")
    tab_to(page, "Search")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    tab_to(page, "Question")
    page.keyboard.type("lakes")
    page.keyboard.press("Enter")
    expect(page.locator(".message", has_text="lakes").first).to_be_visible()
    expect(page.locator("#announcer")).to_contain_text("hits")
    page.evaluate("document.querySelector('nav a').focus()")
    tab_to(page, "Erasure")
    page.keyboard.press("Enter")
    tab_to(page, "Everything of the conversation")
    page.keyboard.type("c-2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Plan")).to_be_visible()
    tab_to(page, "Erase…")
    page.keyboard.press("Enter")
    assert focused(page) == "Type acme to confirm"
    page.keyboard.press("Enter")  # nothing typed: nothing happens
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert focused(page) == "Erase…"  # back where it was


def test_a_phone_scrolls_down_and_never_sideways(page: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    for tenant in ("acme", CANARY[:64]):
        enter(page, tenant)
        for view in (*VIEWS, "Search", "Context", "Erasure"):
            visit(page, view)
            if view == "Search":
                page.get_by_label("Question").fill("lakes")
                page.get_by_role("button", name="Search", exact=True).click()
                page.locator(".bars").first.wait_for()
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 360, (view, wide)


def test_light_and_dark_can_both_be_read(console: Any) -> None:
    papers = {}
    for scheme in ("light", "dark"):
        console.emulate_media(color_scheme=scheme)
        for view in (*VIEWS, "Erasure"):
            visit(console, view)
            assert console.evaluate(_FAINT) == [], (scheme, view)
        papers[scheme] = console.evaluate("getComputedStyle(document.body).backgroundColor")
    assert papers["light"] != papers["dark"]
