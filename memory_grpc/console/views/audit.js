// Who did what.

import { get, given } from "../api.js";
import { el } from "../dom.js";
import { fromInput, time } from "../format.js";
import { remember, state } from "../state.js";
import { badge, field, form, heading, paged, table } from "../widgets.js";

const columns = [
  { title: "When", cell: (one) => time(one.happened_at) },
  { title: "Who", cell: (one) => el("span", { class: "id" }, one.actor) },
  { title: "What", cell: (one) => el("code", {}, one.action) },
  { title: "Outcome", cell: (one) => badge(one.outcome, /^ok$/i.test(one.outcome) ? "good" : "warn") },
  { title: "Tenant", cell: (one) => one.tenant_id || "—" },
  { title: "Request", cell: (one) => el("span", { class: "id faint" }, one.request_id) },
];

export function audit(place) {
  const list = el("div", {});
  const load = (values) => paged(list, async (token) => {
    const wanted = { ...values, happened_after: fromInput(values.happened_after), happened_before: fromInput(values.happened_before) };
    const { events, next_page_token: next } = await get("/v1/admin/audit", { ...given(wanted), page_size: 50, page_token: token });
    remember(...events.map((one) => one.tenant_id));
    return { nodes: table("Events, the newest first", columns, events, "No event passes these filters."), next };
  });
  place.append(
    ...heading("Audit", "Administration, erasures, denials and the use of keys. The trail holds no content."),
    form([
      field("tenant_id", "Tenant", { value: state.tenant, maxlength: 64 }),
      field("actor", "Who", { maxlength: 200 }),
      field("action", "What", { maxlength: 200 }),
      field("happened_after", "From", { kind: "datetime-local" }),
      field("happened_before", "Before", { kind: "datetime-local" }),
    ], "Show", load),
    list,
  );
  load({ tenant_id: state.tenant });
}
