// Search graphs: a tenant that outgrows the scan has one of its own.

import { get } from "../api.js";
import { el } from "../dom.js";
import { count, decimal, time } from "../format.js";
import { state } from "../state.js";
import { badge, heading, into, table } from "../widgets.js";

const KINDS = { ready: "good", failed: "bad", building: "warn", dropping: "warn" };
const columns = [
  { title: "Tenant", cell: (one) => one.tenant_id },
  { title: "State", cell: (one) => badge(one.state, KINDS[one.state]) },
  { title: "Messages", number: true, cell: (one) => count(one.messages) },
  { title: "Megabytes", number: true, cell: (one) => decimal(one.megabytes, 1) },
  { title: "Begun", cell: (one) => time(one.started_at) },
  { title: "Done", cell: (one) => time(one.finished_at) },
];

export function graphs(place) {
  const list = el("div", {});
  place.append(...heading("Graphs", "Large tenants are searched by a graph of their own; all others are scanned exactly."), list);
  into(list, async () => {
    const { graphs: rows } = await get("/v1/admin/graphs", { tenant_id: state.tenant });
    return table("Graphs", columns, rows, state.tenant ? `${state.tenant} has no graph: its searches scan exactly.` : "No tenant has a graph: all searches scan exactly.");
  });
}
