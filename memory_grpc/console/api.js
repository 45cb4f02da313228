// The REST API. The key lives in this variable and nowhere else: not in storage, a cookie or an address.

let key = "";
const listeners = [];

export const setKey = (value) => { key = value; };
export const hasKey = () => key !== "";
/** Calls back when a call was refused for want of a key. */
export const onRefused = (callback) => listeners.push(callback);

/** What the service answers instead of a result. */
export class ApiError extends Error {
  constructor(status, body) {
    super(body.message || `The service answered ${status}.`);
    const details = body.details || [];
    this.status = status;
    this.reason = details.map((one) => one.reason).find(Boolean) || "";
    this.violations = details.flatMap((one) => one.field_violations || one.fieldViolations || []);
  }
}

function address(path, query) {
  const given = Object.entries(query || {}).filter(([, value]) => value !== undefined && value !== "" && value !== false);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** Calls one path; the answer's JSON. Throws an ApiError, with status 0 where the service cannot be reached. */
export async function call(method, path, { query, body } = {}) {
  const headers = { accept: "application/json" };
  if (key) headers["x-api-key"] = key;
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(address(path, query), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
    });
  } catch {
    throw new ApiError(0, { message: "The service cannot be reached, or the key holds letters that no key has." });
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  if (response.status === 404 && answer.message === "no such path") {
    answer.message = "This is the port of the metrics. Open the console on the port of the REST API (8000 by default).";
  }
  if (response.status === 401) listeners.forEach((callback) => callback());
  throw new ApiError(response.status, answer);
}

export const get = (path, query) => call("GET", path, { query });
export const post = (path, body) => call("POST", path, { body });

/** A path of a tenant's: its id may hold any letter. */
export const tenantPath = (tenant, what) => `/v1/admin/tenants/${encodeURIComponent(tenant)}/${what}`;

/** A copy without what is empty, so that the service's defaults hold. */
export const given = (fields) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== "" && value !== undefined && value !== null && value !== false));
