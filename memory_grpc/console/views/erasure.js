// Forgetting on purpose: a plan, its application, a receipt, and the proof.

import { get, given, post } from "../api.js";
import { announce, el } from "../dom.js";
import { count, counted, time } from "../format.js";
import { state, taken } from "../state.js";
import { badge, button, card, confirmed, empty, failure, field, form, heading, into, table } from "../widgets.js";
import { message } from "./message.js";

const POLL_MS = 500;
const of = (erasure) => ({ tenant_id: erasure.tenant_id, erasure_id: erasure.erasure_id });
const rows = (caption, list) => table(caption, [
  { title: "Table", cell: (one) => el("code", {}, one.table) },
  { title: "Rows", number: true, cell: (one) => count(one.rows) },
], list, "No rows.");

const facts = (...pairs) => el("dl", { class: "facts" }, pairs.filter(([, value]) => value).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

async function finished(erasure, progress) {
  let found = erasure;
  while (found.state !== "done" && progress.isConnected) {
    progress.textContent = `Erased: ${count(found.erased)} of ${counted(found.planned, "message")}. ${found.last_error}`;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    found = await get("/v1/admin/erasure", of(erasure));
  }
  return found;
}

function verified(answer) {
  return card("Proof",
    el("p", {}, answer.clean ? badge("clean", "good") : badge("something is left", "bad"), answer.clean ? " Nothing of it was found." : " Look at the places below."),
    table("Where it was looked for", [
      { title: "Place", cell: (one) => one.place },
      { title: "Found", number: true, cell: (one) => count(one.found) },
      { title: "How", cell: (one) => one.how },
    ], answer.checks),
    answer.unreachable.length
      ? [el("h3", {}, "What the service cannot look into"), el("ul", {}, answer.unreachable.map((one) => el("li", {}, el("strong", {}, one.place), `: ${one.advice}`)))]
      : null);
}

function receipted(receipt, proof) {
  const { erasure } = receipt;
  return card("Receipt",
    facts(["Erasure", el("span", { class: "id" }, erasure.erasure_id)], ["Messages erased", count(erasure.erased)], ["Erased", time(receipt.erased_at)],
      ["Planned by", receipt.planned_by], ["Applied by", receipt.applied_by], ["Digest of the ids", el("code", {}, receipt.ids_digest)],
      ["Kept", receipt.kept.join(", ")]),
    rows("Rows that were erased", erasure.erased_rows),
    el("details", {}, el("summary", {}, "As JSON, to be kept"), el("pre", { tabindex: 0 }, JSON.stringify(receipt, null, 2))),
    el("div", { class: "actions" }, button("Verify", () =>
      into(proof, async () => verified(await post("/v1/admin/erasure/verify", of(erasure))), () => "Verified."), "primary")));
}

function planned(plan, place) {
  const { erasure } = plan;
  const progress = el("p", { role: "status" });
  const receipt = el("div", {});
  const proof = el("div", {});
  const apply = button("Erase…", async () => {
    const sure = await confirmed(`Erase ${counted(erasure.planned, "message")} of ${erasure.tenant_id}?`,
      "They are removed from every table, with their revisions, vectors and words. This cannot be undone.", "Erase for good", erasure.tenant_id);
    if (!sure) return;
    apply.disabled = true;
    try {
      await finished(await post("/v1/admin/erasure/apply", of(erasure)), progress);
      if (!progress.isConnected) return;
      progress.textContent = "Everything that was planned is erased.";
      await into(receipt, async () => receipted(await get("/v1/admin/erasure/receipt", of(erasure)), proof));
    } catch (error) {
      apply.disabled = false;
      progress.replaceChildren(failure(error));
    }
  }, "danger");
  place.append(
    card("Plan",
      facts(["Messages", count(erasure.planned)], ["Scope", erasure.scope], ["To be applied before", time(erasure.expires_at)]),
      rows("Rows that would go", erasure.planned_rows),
      plan.sample.length ? el("details", {}, el("summary", {}, `A sample of ${plan.sample.length}`), plan.sample.map((one) => message(one))) : null,
      erasure.planned ? el("div", { class: "actions" }, apply) : empty("There is nothing to erase."),
      progress),
    receipt, proof);
}

export function erasure(place) {
  const start = taken();
  const steps = el("div", {});
  place.append(
    ...heading("Erasure", "Plan it, look at the plan, apply it, and keep the receipt. Give one of the four."),
    form([
      field("user_id", "Everything of the user", { value: start.user_id, maxlength: 128 }),
      field("conversation_id", "Everything of the conversation", { value: start.conversation_id, maxlength: 128 }),
      field("filter", "Everything that passes the filter", { maxlength: 2000 }),
      field("whole_tenant", "The whole tenant", { kind: "checkbox" }),
    ], "Plan", (values) => into(steps, async () => {
      const plan = await post("/v1/admin/erasure/plan", { ...given(values), tenant_id: state.tenant, sample_size: 5 });
      const shown = el("div", {});
      planned(plan, shown);
      announce(`Would be erased: ${counted(plan.erasure.planned, "message")}.`);
      return shown;
    })),
    steps,
  );
}
