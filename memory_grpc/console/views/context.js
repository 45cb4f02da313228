// What a product would put before a model: the memory that fits a budget of tokens.

import { given, post } from "../api.js";
import { el } from "../dom.js";
import { count, counted, decimal } from "../format.js";
import { meter } from "../charts.js";
import { state } from "../state.js";
import { badge, card, empty, field, form, heading, into } from "../widgets.js";
import { message } from "./message.js";

function built(answer, budget) {
  const left = answer.left_out;
  return [
    card("Budget",
      meter(`${count(answer.total_tokens)} of ${counted(budget, "token")}`, answer.total_tokens, budget),
      el("p", { class: "faint" }, `Counted by ${answer.tokenizer}. Left out: ${count(left.too_long)} too long, ${count(left.repeated_text)} repeated, ${count(left.low_score)} below the score.`)),
    card("As a text", answer.text ? el("pre", { tabindex: 0 }, answer.text) : empty("Nothing fits, or nothing is there.")),
    answer.messages.length
      ? card("Its messages", answer.messages.map((one) => message(one.message,
        el("p", { class: "score" }, badge(one.reason), ` ${counted(one.tokens, "token")}`, one.score === undefined ? "" : `, score ${decimal(one.score)}`))))
      : null,
  ];
}

export function context(place) {
  const results = el("div", { class: "messages" });
  place.append(
    ...heading("Context", "The memory that answers a question, cut to a budget, in the order of time."),
    form([
      field("query", "Question", { wide: true, required: true, maxlength: 10000 }),
      field("max_tokens", "Budget in tokens", { kind: "number", min: 1, max: 32000, value: 500, required: true }),
      field("user_id", "User", { maxlength: 128 }),
      field("conversation_id", "Conversation", { maxlength: 128, hint: "Its last turns come first." }),
      field("recent_turns", "Recent turns", { kind: "number", min: 0, max: 100, value: "" }),
      field("filter", "Filter", { maxlength: 2000 }),
    ], "Build", async (values) => {
      const numbers = { max_tokens: Number(values.max_tokens), recent_turns: values.recent_turns === "" ? "" : Number(values.recent_turns) };
      let used = 0;
      await into(results, async () => {
        const answer = await post("/v1/memory/context", { ...given({ ...values, ...numbers }), tenant_id: state.tenant });
        used = answer.total_tokens;
        return built(answer, numbers.max_tokens);
      }, () => counted(used, "token"));
    }),
    results,
  );
}
