// What the service does by itself: its health, the sweep of retention, and embeddings that are made anew.

import { get, post } from "../api.js";
import { announce, el } from "../dom.js";
import { count, counted, decimal, time } from "../format.js";
import { meter } from "../charts.js";
import { state } from "../state.js";
import { badge, button, card, confirmed, empty, heading, into } from "../widgets.js";

const facts = (...pairs) => el("dl", { class: "facts" }, pairs.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
const model = (one) => `${one.name} ${one.revision} (${one.dimensions})`;

function health(found) {
  const sweep = found.retention;
  return [
    card("Service", facts(
      ["Status", badge(found.status, found.status === "ok" ? "good" : "bad")], ["Database", badge(found.database, found.database === "ok" ? "good" : "bad")],
      ["Version", found.version], ["Environment", found.environment], ["Up for", `${count(found.uptime_seconds / 60)} minutes`], ["Database answers in", `${decimal(found.latency_ms, 1)} ms`])),
    sweep
      ? card("Retention", facts(
        ["Last sweep", badge(sweep.last_status, sweep.last_status === "failed" ? "bad" : "")], ["At", time(sweep.last_run_at)],
        ["Every", sweep.schedule_seconds ? `${count(sweep.schedule_seconds)} seconds` : "not by itself"],
        ["Archived", count(sweep.archived)], ["Deleted", count(sweep.deleted)]))
      : null,
  ];
}

async function reembedding() {
  let found;
  try {
    found = await get("/v1/admin/reembedding");
  } catch (error) {
    if (error.status !== 404) throw error;
    return card("Re-embedding", empty("There has been none."));
  }
  return card("Re-embedding",
    facts(["State", badge(found.state)], ["Tenant", found.tenant_id || "all"], ["From", model(found.previous_model)], ["To", model(found.model)],
      ["Started", time(found.started_at)], ["Refused", count(found.refused)]),
    meter(`${count(found.embedded)} of ${counted(found.total, "message")}`, found.embedded, found.total));
}

function sweeping() {
  const outcome = el("div", {});
  const run = async (dryRun) => {
    const body = { tenant_id: state.tenant, dry_run: dryRun };
    await into(outcome, async () => {
      const done = await post("/v1/admin/retention/run", body);
      const text = `${counted(done.archived, "message")} ${dryRun ? "would be " : ""}archived, ${count(done.deleted)} ${dryRun ? "would be " : ""}deleted.`;
      announce(text);
      return el("p", {}, text);
    });
  };
  const retry = () => into(outcome, async () => {
    const { queued } = await post("/v1/admin/embeddings/retry", { tenant_id: state.tenant });
    announce(`${queued} queued`);
    return el("p", {}, `Queued to be embedded again: ${counted(queued, "message")}.`);
  });
  const sweep = async () => {
    const sure = await confirmed(`Sweep ${state.tenant} now?`, "What its policy says is archived, and what has been in the archive for long enough is deleted for good.", "Sweep");
    if (sure) await run(false);
  };
  return card(`Jobs for ${state.tenant}`,
    el("div", { class: "actions" }, button("Try a sweep", () => run(true), "primary"), button("Sweep now…", sweep, "quiet-danger"), button("Retry failed embeddings", retry)), outcome);
}

export function jobs(place) {
  const state_ = el("div", {});
  const models = el("div", {});
  place.append(...heading("Jobs", "What the service does without being called."), state_, state.tenant ? sweeping() : empty("Name a tenant above to sweep it."), models);
  into(state_, async () => health(await get("/v1/admin/health")));
  into(models, reembedding);
}
