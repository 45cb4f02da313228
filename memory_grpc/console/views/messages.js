// The messages of a tenant: of a conversation, of a user, or all that pass a filter.

import { call, get, given } from "../api.js";
import { announce, el } from "../dom.js";
import { counted } from "../format.js";
import { state, taken } from "../state.js";
import { button, confirmed, empty, failure, field, form, heading, paged } from "../widgets.js";
import { message } from "./message.js";

function removable(one) {
  const shown = message(one, el("div", { class: "actions" }, button("Delete…", async () => {
    const sure = await confirmed("Delete this message?", "It leaves every search and list at once, and cannot be brought back.", "Delete");
    if (!sure) return;
    try {
      await call("DELETE", `/v1/messages/${encodeURIComponent(one.id)}`, { query: { tenant_id: one.tenant_id } });
      shown.replaceWith(empty("Deleted."));
      announce("The message is deleted.");
    } catch (error) {
      shown.append(failure(error));
    }
  }, "quiet-danger")));
  return shown;
}

export function messages(place) {
  const start = taken();
  const list = el("div", { class: "messages" });
  const load = (wanted) => {
    let total = 0;
    return paged(list, async (token) => {
      const answer = await get("/v1/messages", { ...given(wanted), tenant_id: state.tenant, page_size: 25, page_token: token, include_total: token === "" });
      if (token === "") {
        total = answer.total_size;
        announce(counted(total, "message"));
      }
      const nodes = answer.messages.length ? answer.messages.map(removable) : empty("No message passes these filters.");
      return { nodes: token === "" && total ? [el("p", { class: "faint" }, counted(total, "message")), nodes] : nodes, next: answer.next_page_token };
    });
  };
  place.append(
    ...heading("Messages", "What is stored, page by page. Without a conversation or a user: everything of the tenant."),
    form([
      field("conversation_id", "Conversation", { value: start.conversation_id, maxlength: 128 }),
      field("user_id", "User", { value: start.user_id, maxlength: 128 }),
      field("filter", "Filter", { wide: true, hint: 'For example metadata.source = "web" AND importance > 0.5', maxlength: 2000 }),
      field("order_by", "Order", { kind: [["created_at desc", "newest first"], ["created_at", "oldest first"]], value: start.conversation_id ? "created_at" : "created_at desc" }),
      field("include_archived", "Archived too", { kind: "checkbox", value: true }),
    ], "Show", load),
    list,
  );
  load({ ...start, include_archived: true, order_by: start.conversation_id ? "created_at" : "created_at desc" });
}
