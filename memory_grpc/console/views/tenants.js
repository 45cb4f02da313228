// Every tenant that the key can learn of, with what it holds. No call lists tenants: they are gathered from keys, graphs and
// the audit trail, as far as the key may read those, and from what was typed.

import { get, tenantPath } from "../api.js";
import { el } from "../dom.js";
import { bytes, count, time } from "../format.js";
import { choose, knownTenants, open, remember, state } from "../state.js";
import { button, card, heading, into, table } from "../widgets.js";

const AT_ONCE = 4; // statistics that are asked for together
const LOOKED_AT = 50;

async function seen() {
  // A key that may not read these still has its own tenants; any other failure is shown.
  const none = (of) => (error) => { if (error.status === 403) return of; throw error; };
  const [keys, graphs, events] = await Promise.all([
    get("/v1/admin/api-keys", { page_size: 100 }).catch(none({ api_keys: [] })),
    get("/v1/admin/graphs").catch(none({ graphs: [] })),
    get("/v1/admin/audit", { page_size: 100 }).catch(none({ events: [] })),
  ]);
  remember(
    ...keys.api_keys.flatMap((key) => key.tenant_ids),
    ...graphs.graphs.map((graph) => graph.tenant_id),
    ...events.events.map((event) => event.tenant_id),
  );
  return knownTenants().slice(0, LOOKED_AT);
}

function unreadable(error) {
  if (error.status === 403 || error.status === 404) return null;
  throw error;
}

async function statistics(names) {
  const found = [];
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const part = names.slice(at, at + AT_ONCE);
    found.push(...(await Promise.all(part.map((name) => get(tenantPath(name, "statistics")).catch(unreadable)))));
  }
  return found.filter(Boolean);
}

function tiles(one) {
  const tile = (label, value) => el("div", { class: "tile" }, el("dt", {}, label), el("dd", {}, value));
  return el("dl", { class: "tiles" },
    tile("Live", count(one.live)), tile("Archived", count(one.archived)), tile("Users", count(one.users)),
    tile("Conversations", count(one.conversations)), tile("Pinned", count(one.pinned)), tile("Pending", count(one.pending)),
    tile("Failed", count(one.failed)), tile("Duplicates", count(one.duplicates)), tile("On disk, about", bytes(one.estimated_bytes)));
}

const columns = [
  { title: "Tenant", cell: (one) => button(one.tenant_id, () => { choose(one.tenant_id); open("users"); }, "link") },
  { title: "Live", number: true, cell: (one) => count(one.live) },
  { title: "Archived", number: true, cell: (one) => count(one.archived) },
  { title: "Users", number: true, cell: (one) => count(one.users) },
  { title: "Conversations", number: true, cell: (one) => count(one.conversations) },
  { title: "Pending", number: true, cell: (one) => count(one.pending) },
  { title: "Newest message", cell: (one) => time(one.newest_message_at) },
];

export function tenants(place) {
  const chosen = el("div", {});
  const all = el("div", {});
  place.append(...heading("Tenants", "A tenant's memory never mixes with another's. Name one above, or open one that the key has met."), chosen, all);
  if (state.tenant) {
    into(chosen, async () => card(`Tenant ${state.tenant}`, tiles(await get(tenantPath(state.tenant, "statistics")))),
      () => `Counts of ${state.tenant}`);
  }
  into(all, async () => {
    const found = await statistics(await seen());
    return card("Known tenants", table("Tenants and what they hold", columns, found,
      "No tenant is known to this tab yet. Name one above; a key of the role admin for all tenants shows those it finds."));
  });
}
