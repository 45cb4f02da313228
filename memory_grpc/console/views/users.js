// The end users of a tenant.

import { get } from "../api.js";
import { el } from "../dom.js";
import { count, time } from "../format.js";
import { open, state } from "../state.js";
import { button, heading, paged, table } from "../widgets.js";

const columns = [
  { title: "User", cell: (one) => el("span", { class: "id" }, one.user_id) },
  { title: "Live", number: true, cell: (one) => count(one.message_count - one.archived_count) },
  { title: "Archived", number: true, cell: (one) => count(one.archived_count) },
  { title: "First message", cell: (one) => time(one.first_message_at) },
  { title: "Last message", cell: (one) => time(one.last_message_at) },
  { title: "Actions", cell: (one) => el("span", { class: "actions" },
    button("Messages", () => open("messages", { user_id: one.user_id })),
    button("Erase…", () => open("erasure", { user_id: one.user_id }), "quiet-danger")) },
];

export function users(place) {
  const list = el("div", {});
  place.append(...heading("Users", `The end users of ${state.tenant}, whose memory the messages are.`), list);
  paged(list, async (token) => {
    const { users: rows, next_page_token: next } = await get("/v1/users", { tenant_id: state.tenant, page_size: 50, page_token: token });
    return { nodes: table(`Users of ${state.tenant}`, columns, rows, "No message of this tenant names a user."), next };
  });
}
