// One message, as several views show it.

import { el } from "../dom.js";
import { decimal, time } from "../format.js";
import { badge } from "../widgets.js";

/** Who said it, when, and what is to be known of it. */
export function message(one, ...more) {
  const metadata = one.metadata && Object.keys(one.metadata).length
    ? el("details", {}, el("summary", {}, "Metadata"), el("pre", {}, JSON.stringify(one.metadata, null, 2)))
    : null;
  const importance = one.importance_score ?? one.importance;
  return el("article", { class: "message" },
    el("header", {},
      badge(one.role, one.role), one.name ? el("strong", {}, one.name) : null, time(one.created_at),
      importance === undefined ? null : el("span", { class: "faint" }, `importance ${decimal(importance, 2)}`),
      one.pinned ? badge("pinned") : null,
      one.archived_at ? badge("archived", "warn") : null,
      one.embedding_status && one.embedding_status !== "completed" ? badge(one.embedding_status, "warn") : null),
    el("p", { class: "content" }, one.content),
    el("footer", {},
      el("span", {}, "conversation ", el("span", { class: "id" }, one.conversation_id)),
      one.user_id ? el("span", {}, "user ", el("span", { class: "id" }, one.user_id)) : null),
    metadata, more);
}
