"""Every view of the console shows what the service holds."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.console.conftest import KEY, Site, enter, settled, visit

VIEWS = {
    "Tenants": "Tenant acme",
    "Users": "u-9",
    "Conversations": "c-2",
    "Messages": "I love Python programming and machine learning",
    "Policy": "retention.max_age_days",
    "Keys": "Begins with",
    "Audit": "AdminService.GetStatistics",
    "Jobs": "Last sweep",
    "Graphs": "acme has no graph",
}


def test_every_view_shows_what_is_stored(console: Any) -> None:
    assert console.url.endswith("/console")
    for view, text in VIEWS.items():
        visit(console, view)
        expect(console.get_by_role("main")).to_contain_text(text)
        expect(console.get_by_role("alert")).to_have_count(0)


def test_a_page_of_a_list_that_failed_can_be_asked_for_again(console: Any) -> None:
    down = [True]

    def answer(route: Any) -> None:
        """Two pages of the same users; the second fails once."""
        first = route.request.url.split("&page_token=")[0]
        if "page_token=second" in route.request.url:
            if down:
                down.clear()
                route.fulfill(status=503, json={"code": 14, "message": "The database is away."})
            else:
                route.fulfill(response=route.fetch(url=first))
            return
        found = route.fetch()
        route.fulfill(response=found, json=found.json() | {"next_page_token": "second"})

    console.route("**/v1/users?*", answer)
    visit(console, "Users")
    console.get_by_role("button", name="More", exact=True).click()
    expect(console.get_by_role("alert")).to_contain_text("The database is away.")
    console.get_by_role("button", name="Try again").click()
    expect(console.get_by_role("row", name="u-9")).to_have_count(2)
    expect(console.get_by_role("alert")).to_have_count(0)


def test_a_tenant_s_users_lead_to_their_messages(console: Any) -> None:
    visit(console, "Users")
    console.get_by_role("row", name="u-9").get_by_role("button", name="Messages").click()
    expect(console.locator(".message")).to_have_count(1)
    expect(console.locator(".message .content")).to_have_text("I love Python programming and machine learning")
    expect(console.get_by_label("User", exact=True)).to_have_value("u-9")
    visit(console, "Conversations")
    console.get_by_role("button", name="c-1").click()
    expect(console.locator(".message time").first).to_have_attribute("title", "2025-01-07 10:00:00 UTC")
    expect(console.locator(".message time").first).to_have_text("7 Jan 2025, 11:00")  # in Berlin
    expect(console.locator(".message")).to_have_count(12)


@pytest.mark.parametrize("ranking", ["semantic", "hybrid"])
def test_the_bars_of_a_hit_are_the_terms_of_its_score(console: Any, site: Site, ranking: str) -> None:
    answer = site.post(
        "/v1/memory/search", {"tenant_id": "acme", "query": "lakes", "ranking": ranking, "explain": True, "top_k": 10}
    )
    best = answer["items"][0]
    visit(console, "Search")
    console.get_by_label("Question").fill("lakes")
    console.get_by_label("Ranking").select_option(ranking)
    console.get_by_role("button", name="Search", exact=True).click()
    first = console.locator(".message").first
    expect(first.locator(".content")).to_have_text(best["content"])
    terms = best["explanation"]["terms"]
    assert first.locator(".bars th").all_text_contents() == [term["name"] for term in terms]
    shown = [float(text) for text in first.locator(".bars .number").all_text_contents()]
    assert sum(shown) == pytest.approx(best["score"], abs=0.005)
    widths = [float(bar.get_attribute("width")) for bar in first.locator(".bars rect").all()]
    values = [abs(term["weight"] * term["value"]) for term in terms]
    assert widths.index(max(widths)) == values.index(max(values))
    expect(console.get_by_role("status").first).to_contain_text(f"{len(answer['items'])} hits")


def test_a_context_stays_within_its_budget(console: Any) -> None:
    visit(console, "Context")
    console.get_by_label("Question").fill("What does Caroline paint?")
    console.get_by_label("Budget in tokens").fill("60")
    console.get_by_role("button", name="Build").click()
    expect(console.locator(".meter span")).to_contain_text("of 60 tokens")
    expect(console.locator("pre").first).to_contain_text("paints lakes")


def test_a_policy_is_simulated_and_set(console: Any, site: Site) -> None:
    visit(console, "Policy")
    console.get_by_label("Archive below importance").fill("0")
    console.get_by_label("Archive after days").fill("100")
    console.get_by_role("button", name="Simulate").click()
    charts = console.locator("figure.chart")
    expect(charts).to_have_count(2)
    assert charts.first.locator("g").count() == 7
    expect(charts.first.locator("text", has_text="+180 d")).to_have_count(1)
    policy = site.http.get("/v1/admin/tenants/acme/policy").json()
    assert policy["overrides"] == []  # a simulation changes nothing
    console.get_by_role("button", name="Set policy").click()
    console.get_by_role("dialog").get_by_role("button", name="Set policy").click()
    expect(console.get_by_role("row", name="retention.max_age_days")).to_contain_text("the tenant's own")
    policy = site.http.get("/v1/admin/tenants/acme/policy").json()
    assert policy["retention"] == policy["retention"] | {"max_age_days": 100, "importance_threshold": 0}
    assert policy["overrides"] == ["retention.max_age_days", "retention.importance_threshold"]
    site.http.put("/v1/admin/tenants/acme/policy", json={}).raise_for_status()


def test_a_key_is_shown_once_and_revoked(console: Any, site: Site) -> None:
    visit(console, "Keys")
    console.get_by_label("Label").fill("of a test")
    console.get_by_label("Tenants", exact=True).fill("acme, other")
    console.get_by_role("button", name="Make key").click()
    made = console.locator("pre.secret").text_content()
    assert site.http.get("/v1/users?tenant_id=acme", headers={"x-api-key": made}).status_code == 200
    row = console.get_by_role("row", name="of a test")
    expect(row).to_contain_text("acme, other")
    row.get_by_role("button", name="Revoke").click()
    console.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("revoked")
    visit(console, "Users")
    visit(console, "Keys")
    expect(console.locator("pre.secret")).to_have_count(0)


def test_an_erasure_from_the_plan_to_the_proof(console: Any, site: Site) -> None:
    for number in range(3):
        site.say(f"forget me {number}", user_id="u-gone", conversation_id="c-gone")
    visit(console, "Users")
    console.get_by_role("row", name="u-gone").get_by_role("button", name="Erase").click()
    expect(console.get_by_label("Everything of the user")).to_have_value("u-gone")
    console.get_by_role("button", name="Plan").click()
    expect(console.get_by_role("row", name="messages 3")).to_be_visible()
    site.say("said after the plan", user_id="u-gone", conversation_id="c-gone")
    console.get_by_role("button", name="Erase…").click()
    dialog = console.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Erase for good")).to_be_disabled()
    dialog.get_by_label("Type acme to confirm").fill("acme")
    dialog.get_by_role("button", name="Erase for good").click()
    expect(console.get_by_role("heading", name="Receipt")).to_be_visible(timeout=20_000)
    expect(console.get_by_role("main")).to_contain_text("Digest of the ids")
    console.get_by_role("button", name="Verify").click()
    expect(console.get_by_role("heading", name="Proof")).to_be_visible()
    expect(console.locator(".badge.good", has_text="clean")).to_be_visible()
    left = site.http.get("/v1/messages?tenant_id=acme&user_id=u-gone").json()["messages"]
    assert [one["content"] for one in left] == ["said after the plan"]


def test_an_error_says_what_the_service_said(page: Any) -> None:
    enter(page, "acme")
    visit(page, "Messages")
    page.get_by_label("Filter").fill("user_id = = 3")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("alert")).to_contain_text("filter")
    page.get_by_role("button", name="Forget key").click()
    settled(page)
    expect(page.get_by_role("alert")).to_contain_text("x-api-key")
    expect(page.get_by_label("API key")).to_be_focused()
    assert KEY not in page.content()
