// Numbers and moments, as the reader's browser writes them.

import { el } from "./dom.js";

const whole = new Intl.NumberFormat();
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export const count = (value) => whole.format(Number(value || 0));
/** "1 message", "1,204 messages": of nouns that take an s. */
export const counted = (value, noun) => `${count(value)} ${noun}${Number(value || 0) === 1 ? "" : "s"}`;
export const decimal = (value, digits = 3) => Number(value || 0).toFixed(digits);

/** A moment in the reader's zone; UTC stands in the title. */
export function time(value) {
  if (!value) return el("span", { class: "faint" }, "—");
  const date = new Date(value);
  return el("time", { datetime: value, title: date.toISOString().replace("T", " ").replace(/\.\d+Z$/, " UTC") }, moment.format(date));
}

/** Bytes with a unit. */
export function bytes(value) {
  let size = Number(value || 0);
  for (const unit of ["B", "KB", "MB", "GB"]) {
    if (size < 1000 || unit === "GB") return `${size < 10 && unit !== "B" ? size.toFixed(1) : Math.round(size)} ${unit}`;
    size /= 1000;
  }
  return "";
}

/** A moment for an input of the type datetime-local, as RFC 3339; empty where nothing was entered. */
export const fromInput = (value) => (value ? new Date(value).toISOString() : "");
