// A tenant's policy, and what another would do as time goes by.

import { call, get, post, tenantPath } from "../api.js";
import { announce, el } from "../dom.js";
import { count } from "../format.js";
import { stacked } from "../charts.js";
import { state } from "../state.js";
import { badge, button, card, confirmed, failure, field, form, heading, into, table } from "../widgets.js";

const GROUPS = ["retention", "importance_weights", "score_weights", "hybrid_weights"];
const SINGLE = ["ranking", "time_zone", "language"];
const AHEAD_DAYS = [0, 30, 60, 90, 120, 150, 180];
const DAY = 86_400_000;
const KINDS = [["kept", "kept"], ["archived", "archived"], ["deleted", "deleted"]];

/** The tenant's own values only, as SetTenantPolicy wants them: what is not sent falls back to the deployment's. */
function own(policy) {
  const body = {};
  for (const path of policy.overrides) {
    const [group, name] = path.split(".");
    if (SINGLE.includes(group)) body[group] = policy[group];
    else if (GROUPS.includes(group) && name) body[group] = { ...body[group], [name]: policy[group][name] };
  }
  return body;
}

function values(policy) {
  const rows = GROUPS.flatMap((group) => Object.entries(policy[group] || {}).map(([name, value]) => [`${group}.${name}`, value]));
  rows.push(...SINGLE.filter((name) => policy[name] !== undefined).map((name) => [name, policy[name]]));
  return table("The policy that holds", [
    { title: "Value", cell: ([name]) => el("code", {}, name) },
    { title: "Set to", number: true, cell: ([, value]) => String(value) },
    { title: "Whose", cell: ([name]) => (policy.overrides.includes(name) ? badge("the tenant's own") : "the deployment's") },
  ], rows);
}

const retention = (fields) =>
  Object.fromEntries(["max_age_days", "importance_threshold", "delete_after_days"].filter((name) => fields[name] !== "").map((name) => [name, Number(fields[name])]));

async function simulated(tenant, wanted) {
  const now = Date.now();
  const steps = [];
  for (const days of AHEAD_DAYS) { // one at a time, as the server does them
    const body = { tenant_id: tenant, retention: wanted, sample_size: 0 };
    if (days) body.as_of = new Date(now + days * DAY).toISOString();
    steps.push({ label: days ? `+${days} d` : "now", ...(await post("/v1/admin/retention/simulate", body)) });
  }
  const months = new Map();
  for (const one of steps[0].months) {
    const sum = months.get(one.month) || { label: one.month, kept: 0, archived: 0, deleted: 0 };
    for (const [name] of KINDS) sum[name] += one[name];
    months.set(one.month, sum);
  }
  return { steps, months: [...months.values()] };
}

const numbers = (caption, first, rows) => el("details", {}, el("summary", {}, "The figures"),
  table(caption, [{ title: first, cell: (row) => row.label }, ...KINDS.map(([name, title]) => ({ title, number: true, cell: (row) => count(row[name]) }))], rows));

function drawn({ steps, months }) {
  return [
    card("A first sweep at each moment", el("p", { class: "faint" }, "What is stored now, swept then: how much would stay, be archived, or be deleted."),
      stacked("Messages kept, archived and deleted by the moment of the sweep", steps, KINDS), numbers("By moment", "Moment", steps)),
    months.length
      ? card("A sweep now, by the month of the message", stacked("Messages kept, archived and deleted by month", months, KINDS), numbers("By month", "Month", months))
      : null,
  ];
}

export function policy(place) {
  const tenant = state.tenant; // of this view; a late answer must not end in the form of another tenant's
  const formPlace = el("div", {});
  const holds = el("div", {});
  const outcome = el("div", {});
  let current;
  place.append(...heading("Policy", "When messages are archived and deleted, and how they are scored. A simulation changes nothing."), formPlace, outcome, holds);
  const show = () => into(holds, async () => {
    current = await get(tenantPath(tenant, "policy"));
    const now = current.retention;
    let tried;
    const simulate = async (fields) => {
      tried = retention(fields);
      await into(outcome, async () => drawn(await simulated(tenant, tried)), () => "The simulation is drawn.");
    };
    const save = async (event) => {
      const node = event.target.closest("form");
      if (!node.reportValidity()) return;
      const wanted = retention(Object.fromEntries([...node.elements].filter((one) => one.name).map((one) => [one.name, one.value])));
      const changed = Object.fromEntries(Object.entries(wanted).filter(([name, value]) => value !== now[name] || current.overrides.includes(`retention.${name}`)));
      const sure = await confirmed(`Set the retention of ${tenant}?`, `The next sweep follows it: ${JSON.stringify(wanted)}. Simulate it first to see what leaves.`, "Set policy");
      if (!sure) return;
      try {
        await call("PUT", tenantPath(tenant, "policy"), { body: { ...own(current), retention: changed } });
        announce("The policy is set.");
        await show();
      } catch (error) {
        outcome.replaceChildren(failure(error));
      }
    };
    formPlace.replaceChildren(form([
      field("max_age_days", "Archive after days", { kind: "number", min: 0, max: 36500, step: "any", value: now.max_age_days }),
      field("importance_threshold", "Archive below importance", { kind: "number", min: 0, max: 1, step: "any", value: now.importance_threshold }),
      field("delete_after_days", "Delete days after archiving", { kind: "number", min: 0, max: 36500, step: "any", value: now.delete_after_days }),
    ], "Simulate", simulate, button("Set policy…", save, "quiet-danger")));
    return card("The policy that holds", values(current));
  });
  show();
}
