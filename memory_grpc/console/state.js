// What views share, for as long as the tab is open: the tenant, and what one view hands to the next.

const known = new Set();
export const state = { tenant: "", handed: {} };

/** Remembers tenants that were seen, as suggestions. */
export function remember(...tenants) {
  tenants.filter(Boolean).forEach((tenant) => known.add(tenant));
  const options = [...known].sort().map((tenant) => { const one = document.createElement("option"); one.value = tenant; return one; });
  document.getElementById("known-tenants").replaceChildren(...options);
}
/** Forgets what was seen with a key, once the key is. */
export function forgetTenants() {
  known.clear();
  remember(state.tenant);
}

export const knownTenants = () => [...known].sort();

/** Chooses the tenant that the views look at. */
export function choose(tenant) {
  state.tenant = tenant;
  document.getElementById("tenant").value = tenant;
  remember(tenant);
}

/** Opens a view, with what it is to begin with. Nothing of it is in the address. */
export function open(view, handed = {}) {
  state.handed = handed;
  if (location.hash === `#/${view}`) dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = `#/${view}`;
}

/** What was handed to this view; once. */
export function taken() {
  const { handed } = state;
  state.handed = {};
  return handed;
}
