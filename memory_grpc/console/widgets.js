// Parts that views are made of.

import { ApiError } from "./api.js";
import { announce, el, freshId } from "./dom.js";

/** A heading and a sentence on what the view shows. */
export const heading = (title, lead) => [el("h1", {}, title), lead ? el("p", { class: "lead" }, lead) : null];

export const card = (title, ...children) => el("section", { class: "card" }, title ? el("h2", {}, title) : null, children);

export const empty = (text) => el("p", { class: "empty" }, text);

export const badge = (text, kind = "") => el("span", { class: `badge ${kind}` }, text);

/** A table. Columns are {title, cell: (row) => text or element, number}; on a phone each row becomes a block. */
export function table(caption, columns, rows, nothing = "Nothing here yet.") {
  if (!rows.length) return empty(nothing);
  const head = columns.map((one) => el("th", { scope: "col", class: one.number ? "number" : null }, one.title));
  const cells = (row) =>
    columns.map((one) => el("td", { class: one.number ? "number" : null, "data-label": one.title }, one.cell(row)));
  return el(
    "div",
    { class: "scroll" },
    el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, head)),
      el("tbody", {}, rows.map((row) => el("tr", {}, cells(row))))),
  );
}

/** A labelled input. Kinds: text, number, checkbox, datetime-local, textarea, or a list of options for a select. */
export function field(name, label, { kind = "text", value, hint, wide, ...attributes } = {}) {
  const id = freshId();
  const hintId = hint ? `${id}h` : null;
  const common = { id, name, "aria-describedby": hintId, ...attributes };
  let input;
  if (Array.isArray(kind)) {
    input = el("select", common, kind.map(([key, text]) => el("option", { value: key, selected: key === value }, text)));
  } else if (kind === "textarea") {
    input = el("textarea", { rows: 3, ...common, value: value ?? "" });
  } else if (kind === "checkbox") {
    input = el("input", { type: kind, checked: value, ...common });
    return el("div", { class: "field check" }, input, el("label", { for: id }, label));
  } else {
    input = el("input", { type: kind, autocomplete: "off", ...common, value: value ?? "" });
  }
  return el("div", { class: wide ? "field wide" : "field" }, el("label", { for: id }, label), input, hint ? el("small", { id: hintId }, hint) : null);
}

/** A form of fields; `submit` gets their values by name. */
export function form(fields, action, submit, more) {
  const onsubmit = async (event) => {
    event.preventDefault();
    const node = event.currentTarget;
    const values = Object.fromEntries(
      [...node.elements].filter((one) => one.name).map((one) => [one.name, one.type === "checkbox" ? one.checked : one.value.trim()]),
    );
    await submit(values, node);
  };
  return el("form", { class: "fields", onsubmit }, fields, el("div", { class: "actions" }, el("button", { class: "primary" }, action), more || null));
}

export const button = (text, onclick, kind = "") => el("button", { type: "button", class: kind, onclick }, text);

/** A failure in words: what the service said, and about which fields. */
export function failure(error) {
  const known = error instanceof ApiError;
  if (!known) console.error(error.name);
  const lines = known ? error.violations.map((one) => el("li", {}, `${one.field}: ${one.description}`)) : [];
  const reason = known && error.reason ? el("small", {}, error.reason) : null;
  return el("div", { class: "error", role: "alert" },
    el("p", {}, known ? error.message : "The page has failed at this. Reload it and try again."),
    lines.length ? el("ul", {}, lines) : null, reason);
}

/** Shows in `place` what `work` gives, "Loading" before, and an error in its stead. `said` goes to screen readers. */
export async function into(place, work, said) {
  const turn = Symbol("turn");
  place.turn = turn;
  place.setAttribute("aria-busy", "true");
  place.replaceChildren(el("p", { class: "loading" }, "Loading…"));
  let shown;
  try {
    shown = await work();
    if (place.turn === turn && said) announce(said());
  } catch (error) {
    shown = failure(error);
  }
  if (place.turn !== turn) return; // a later one has begun
  place.removeAttribute("aria-busy");
  place.replaceChildren(...[shown].flat(Infinity).filter(Boolean));
}

/** Pages of a list, each under the last: `load(token)` gives {nodes, next}. A page that failed can be asked for again. */
export async function paged(place, load) {
  const more = async (token) => {
    const part = el("div", {});
    place.append(part);
    const again = button("Try again", async () => { part.remove(); await more(token); });
    await into(part, async () => {
      try {
        const { nodes, next } = await load(token);
        const button_ = next && button("More", async () => { button_.remove(); await more(next); });
        return [nodes, button_];
      } catch (error) {
        return [failure(error), again];
      }
    });
  };
  place.replaceChildren();
  await more("");
}

/** Asks before something that cannot be undone; true when it is to be done. With `word`, that has to be typed. */
export function confirmed(question, consequence, action, word) {
  return new Promise((resolve) => {
    const typed = word ? field("word", `Type ${word} to confirm`, { spellcheck: "false" }) : null;
    const go = el("button", { class: "danger", value: "yes", disabled: Boolean(word) }, action);
    if (typed) typed.querySelector("input").addEventListener("input", (event) => { go.disabled = event.target.value !== word; });
    const title = freshId();
    const inside = el("form", { onsubmit: (event) => { event.preventDefault(); if (!go.disabled) dialog.close("yes"); } },
      el("h2", { id: title }, question), el("p", {}, consequence), typed,
      el("div", { class: "actions" }, go, button("Cancel", () => dialog.close())));
    const dialog = el("dialog", { "aria-labelledby": title }, inside);
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    dialog.showModal();
    if (!typed) inside.querySelector(".actions button:last-child").focus(); // Enter by habit cancels
  });
}
