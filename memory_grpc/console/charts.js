// Charts as SVG: bars of a score, a meter, and stacked columns over time. Each says its figures in words too.

import { el, svg } from "./dom.js";
import { count, decimal } from "./format.js";

/** A bar for each {name, value, how}, on one scale; negative values go left of their zero. */
export function bars(label, parts, largest) {
  const half = parts.some((part) => part.value < 0);
  const rows = parts.map((part) => {
    const width = (Math.abs(part.value) / largest) * (half ? 50 : 100);
    const x = half ? (part.value < 0 ? 50 - width : 50) : 0;
    const bar = svg("rect", { x, y: 1, width: Math.max(width, 0.3), height: 8, rx: 1, class: part.value < 0 ? "below" : "bar" });
    return el("tr", {},
      el("th", { scope: "row" }, part.name),
      el("td", { class: "drawn" }, svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true", "data-term": part.name }, bar)),
      el("td", { class: "number", title: part.how }, decimal(part.value)));
  });
  return el("table", { class: "bars" }, el("caption", { class: "visually-hidden" }, label), el("tbody", {}, rows));
}

/** How much of something is used. */
export function meter(label, value, most) {
  const width = most ? Math.min(100, (100 * value) / most) : 0;
  return el("div", { class: "meter" },
    svg("svg", { viewBox: "0 0 100 4", preserveAspectRatio: "none", role: "img", "aria-label": label },
      svg("rect", { width: 100, height: 4, class: "track" }), svg("rect", { width, height: 4, class: "bar" })),
    el("span", {}, label));
}

const WIDTH = 640, HEIGHT = 220, LEFT = 48, BOTTOM = 28, TOP = 10;

/** Columns of {label, …}, stacked by `kinds` ([[field, title]…]). */
export function stacked(label, columns, kinds) {
  const sums = columns.map((column) => kinds.reduce((sum, [name]) => sum + Number(column[name] || 0), 0));
  const most = Math.max(...sums, 1);
  const high = HEIGHT - BOTTOM - TOP;
  const step = (WIDTH - LEFT) / columns.length;
  const every = Math.ceil(columns.length / 12); // labels that fit
  const lines = [0, 0.5, 1].map((share) => {
    const y = TOP + high * (1 - share);
    return [svg("line", { x1: LEFT, x2: WIDTH, y1: y, y2: y, class: "grid" }), svg("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, count(Math.round(most * share)))];
  });
  const drawn = columns.map((column, index) => {
    let y = TOP + high;
    const x = LEFT + step * (index + 0.15);
    const parts = kinds.map(([name, title]) => {
      const height = (high * Number(column[name] || 0)) / most;
      y -= height;
      return svg("rect", { x, y, width: step * 0.7, height, class: name }, svg("title", {}, `${column.label}: ${count(column[name])} ${title}`));
    });
    const text = index % every ? null : svg("text", { x: x + step * 0.35, y: HEIGHT - 8, "text-anchor": "middle" }, column.label);
    return svg("g", {}, parts, text || "");
  });
  return el("figure", { class: "chart" },
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label }, lines, drawn),
    el("figcaption", {}, kinds.map(([name, title]) => el("span", { class: `legend ${name}` }, title))));
}
