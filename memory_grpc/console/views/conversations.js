// The conversations of a tenant.

import { get } from "../api.js";
import { el } from "../dom.js";
import { count, time } from "../format.js";
import { open, state } from "../state.js";
import { button, heading, paged, table } from "../widgets.js";

const columns = [
  { title: "Conversation", cell: (one) => button(one.conversation_id, () => open("messages", { conversation_id: one.conversation_id }), "link") },
  { title: "Live", number: true, cell: (one) => count(one.message_count - one.archived_count) },
  { title: "Archived", number: true, cell: (one) => count(one.archived_count) },
  { title: "Users", cell: (one) => one.user_ids.join(", ") || "—" },
  { title: "Last message", cell: (one) => time(one.last_message_at) },
];

export function conversations(place) {
  const list = el("div", {});
  place.append(...heading("Conversations", `Open one to read its messages.`), list);
  paged(list, async (token) => {
    const answer = await get("/v1/conversations", { tenant_id: state.tenant, page_size: 50, page_token: token });
    return {
      nodes: table(`Conversations of ${state.tenant}`, columns, answer.conversations, "This tenant has no conversation."),
      next: answer.next_page_token,
    };
  });
}
