// API keys: who may call, as what, for whom.

import { get, given, post } from "../api.js";
import { announce, el } from "../dom.js";
import { fromInput, time } from "../format.js";
import { remember } from "../state.js";
import { badge, button, card, confirmed, failure, field, form, heading, into, paged, table } from "../widgets.js";

function status(key) {
  if (key.revoked_at) return badge("revoked", "bad");
  return key.expires_at && new Date(key.expires_at) < new Date() ? badge("expired", "warn") : badge("valid", "good");
}

export function keys(place) {
  const list = el("div", {});
  const made = el("div", {});
  const revoke = async (key) => {
    const sure = await confirmed(`Revoke the key ${key.label}?`, "Calls with it are refused within seconds. A revoked key never works again.", "Revoke");
    if (!sure) return;
    try {
      await post(`/v1/admin/api-keys/${encodeURIComponent(key.id)}:revoke`, {});
      announce("The key is revoked.");
      await show();
    } catch (error) {
      list.prepend(failure(error));
    }
  };
  const columns = [
    { title: "Label", cell: (key) => key.label },
    { title: "Begins with", cell: (key) => el("code", {}, key.prefix) },
    { title: "Role", cell: (key) => badge(key.role) },
    { title: "Tenants", cell: (key) => (key.all_tenants ? "all" : key.tenant_ids.join(", ")) },
    { title: "Made", cell: (key) => time(key.created_at) },
    { title: "Expires", cell: (key) => time(key.expires_at) },
    { title: "State", cell: status },
    { title: "Actions", cell: (key) => (key.revoked_at ? "" : button("Revoke…", () => revoke(key), "quiet-danger")) },
  ];
  const show = () => paged(list, async (token) => {
    const { api_keys: rows, next_page_token: next } = await get("/v1/admin/api-keys", { page_size: 50, page_token: token });
    remember(...rows.flatMap((key) => key.tenant_ids));
    return { nodes: table("Keys that were made", columns, rows, "No key was made. Keys of MEMORY_API_KEYS are not listed."), next };
  });
  place.append(
    ...heading("Keys", "Each has a role and a reach. The key itself is shown once, when it is made."),
    form([
      field("label", "Label", { required: true, maxlength: 100 }),
      field("role", "Role", { kind: [["reader", "reader"], ["writer", "writer"], ["admin", "admin"]], value: "reader" }),
      field("tenant_ids", "Tenants", { hint: "Separated by commas." }),
      field("all_tenants", "All tenants", { kind: "checkbox" }),
      field("expires_at", "Expires", { kind: "datetime-local" }),
    ], "Make key", (values, node) => into(made, async () => {
      const tenants = values.tenant_ids.split(",").map((one) => one.trim()).filter(Boolean);
      const answer = await post("/v1/admin/api-keys", given({ ...values, tenant_ids: tenants.length ? tenants : "", expires_at: fromInput(values.expires_at) }));
      node.reset();
      show();
      return card(`The key ${answer.api_key.label}`, el("p", {}, "Copy it now. It is not shown again."), el("pre", { tabindex: 0, class: "secret" }, answer.key),
        el("div", { class: "actions" }, button("Copy", () => navigator.clipboard.writeText(answer.key).then(() => announce("Copied."))), button("Hide", () => made.replaceChildren())));
    }, () => "The key is made and shown once.")),
    made, list,
  );
  show();
}
