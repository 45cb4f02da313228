// The frame: key, tenant, and which view is shown.

import { hasKey, onRefused, setKey } from "./api.js";
import { announce, el } from "./dom.js";
import { choose, forgetTenants, state } from "./state.js";
import { empty, heading } from "./widgets.js";
import { audit } from "./views/audit.js";
import { context } from "./views/context.js";
import { conversations } from "./views/conversations.js";
import { erasure } from "./views/erasure.js";
import { graphs } from "./views/graphs.js";
import { jobs } from "./views/jobs.js";
import { keys } from "./views/keys.js";
import { messages } from "./views/messages.js";
import { policy } from "./views/policy.js";
import { search } from "./views/search.js";
import { tenants } from "./views/tenants.js";
import { users } from "./views/users.js";

const VIEWS = [
  { name: "tenants", title: "Tenants", show: tenants },
  { name: "users", title: "Users", show: users, tenant: true },
  { name: "conversations", title: "Conversations", show: conversations, tenant: true },
  { name: "messages", title: "Messages", show: messages, tenant: true },
  { name: "search", title: "Search", show: search, tenant: true },
  { name: "context", title: "Context", show: context, tenant: true },
  { name: "policy", title: "Policy", show: policy, tenant: true },
  { name: "erasure", title: "Erasure", show: erasure, tenant: true },
  { name: "keys", title: "Keys", show: keys },
  { name: "audit", title: "Audit", show: audit },
  { name: "jobs", title: "Jobs", show: jobs },
  { name: "graphs", title: "Graphs", show: graphs },
];
const main = document.getElementById("main");
const tenant = document.getElementById("tenant");
const key = document.getElementById("key");
const forget = document.getElementById("forget");
const nav = document.getElementById("nav");

nav.append(
  el("ul", {}, VIEWS.map((view) => el("li", {}, el("a", { href: `#/${view.name}` }, view.title))),
    el("li", {}, el("a", { href: "/docs" }, "API"))),
);

function show(focus) {
  const name = location.hash.replace(/^#\//, "");
  const view = VIEWS.find((one) => one.name === name) || VIEWS[0];
  for (const link of nav.querySelectorAll("a")) {
    if (link.getAttribute("href") === `#/${view.name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${view.title} · AI Memory Layer`;
  const place = el("div", { class: "view" });
  main.replaceChildren(place);
  if (view.tenant && !state.tenant) place.append(...heading(view.title), empty("Name a tenant above to begin."));
  else view.show(place);
  if (focus) main.focus({ preventScroll: true });
}

// The hash is also what the skip link sets.
addEventListener("hashchange", () => { if (location.hash !== "#main") show(true); });
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });

document.getElementById("tenant-form").addEventListener("submit", (event) => {
  event.preventDefault();
  choose(tenant.value.trim());
  show(false);
});
document.getElementById("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!key.value.trim()) return;
  setKey(key.value.trim());
  key.value = "";
  told(true);
  announce("The key is used until this tab is closed or reloaded.");
  show(false);
});
forget.addEventListener("click", () => {
  setKey("");
  forgetTenants();
  told(false);
  announce("The key is forgotten.");
  main.replaceChildren(); // what it showed goes with it
  show(false);
  key.focus();
});
onRefused(() => { key.setAttribute("aria-invalid", "true"); });

function told(used) {
  forget.hidden = !used;
  key.placeholder = used ? "a key is in use" : "";
  key.removeAttribute("aria-invalid");
  document.documentElement.toggleAttribute("data-key", hasKey());
}

show(false);
