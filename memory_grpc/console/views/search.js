// Search, with every term of every score drawn.

import { given, post } from "../api.js";
import { el } from "../dom.js";
import { counted, decimal } from "../format.js";
import { state } from "../state.js";
import { bars } from "../charts.js";
import { empty, field, form, heading, into } from "../widgets.js";
import { message } from "./message.js";

function hit(one, rank, largest) {
  const terms = one.explanation ? one.explanation.terms : [];
  return message(one,
    el("p", { class: "score" }, el("strong", {}, `#${rank}  ${decimal(one.score)}`), ` score, relevance ${decimal(one.relevance, 2)}`),
    bars(`Score ${decimal(one.score)} of hit ${rank}`,
      terms.map((term) => ({ name: term.name, value: term.weight * term.value, how: `${decimal(term.weight)} × ${decimal(term.value)}` })), largest));
}

function answered(answer) {
  if (!answer.items.length) return empty("Nothing was found.");
  const parts = answer.items.flatMap((one) => (one.explanation ? one.explanation.terms : []).map((term) => Math.abs(term.weight * term.value)));
  const how = answer.explanation || {};
  return [
    el("p", { class: "faint" }, `${how.ranking} ranking of ${counted(how.candidates, "candidate")}, ${how.exact ? "exact" : "by a graph"}, model ${how.model}`,
      answer.pending ? `; not embedded yet: ${counted(answer.pending, "message")}` : ""),
    answer.items.map((one, index) => hit(one, index + 1, Math.max(...parts, 1e-9))),
  ];
}

export function search(place) {
  const results = el("div", { class: "messages" });
  place.append(
    ...heading("Search", "What a question finds in the memory, and why each hit stands where it stands: a bar for every term of its score."),
    form([
      field("query", "Question", { wide: true, required: true, type: "search", maxlength: 10000 }),
      field("user_id", "User", { maxlength: 128 }),
      field("conversation_id", "Conversation", { maxlength: 128 }),
      field("ranking", "Ranking", { kind: [["", "the tenant's"], ["semantic", "semantic"], ["hybrid", "hybrid"]], value: "" }),
      field("top_k", "Hits", { kind: "number", min: 1, max: 50, value: 10 }),
      field("filter", "Filter", { maxlength: 2000 }),
      field("include_archived", "Archived too", { kind: "checkbox" }),
    ], "Search", async (values) => {
      let found = 0;
      await into(results, async () => {
        const answer = await post("/v1/memory/search", { ...given(values), top_k: Number(values.top_k || 10), tenant_id: state.tenant, explain: true });
        found = answer.items.length;
        return answered(answer);
      }, () => `${found} hits`);
    }),
    results,
  );
}
