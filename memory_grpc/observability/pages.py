"""What the HTTP side answers: the documentation's page, what it loads, the OpenAPI document, and errors."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import yaml
from swagger_ui_bundle import swagger_ui_path

from memory_grpc import resources
from memory_grpc.errors import StartupError

# Of every answer. A connection serves one request.
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Connection": "close"}
_ASSETS = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "index.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon-16x16.png": "image/png",
    "favicon-32x32.png": "image/png",
}
# Of every page. data: is for the icons inside Swagger UI's stylesheet. All else comes from here, and nothing is inline.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>AI Memory Layer</title>
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png" sizes="32x32">
<link rel="icon" type="image/png" href="/docs/favicon-16x16.png" sizes="16x16">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="stylesheet" href="/docs/index.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript; the document it shows is at <a href="/openapi.json">/openapi.json</a>.</noscript>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
# Opens on the first call, filled in. The key is kept for the tab (sessionStorage), not for the browser, which is what
# Swagger UI's own persistAuthorization would do.
_START = """const KEPT = "memory-layer-keys";
const kept = () => JSON.parse(sessionStorage.getItem(KEPT) || "{}");
const keep = (keys) => sessionStorage.setItem(KEPT, JSON.stringify(keys));
// Bodies are what must be there; Swagger UI's own choice is every field, of which some exclude each other.
const fillIn = ({ specSelectors, oas3Actions }) =>
  Object.entries(specSelectors.specJson().toJS().paths).forEach(([path, methods]) =>
    Object.entries(methods).forEach(([method, { requestBody }]) => {
      const example = requestBody?.content?.["application/json"]?.examples?.required;
      if (example) {
        const value = JSON.stringify(example.value, null, 2);
        oas3Actions.setRequestBodyValue({ value, pathMethod: [path, method] });
      }
    }),
  );
if (!location.hash) {
  history.replaceState(null, "", "#/MemoryService/IngestMessage");
}
const ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
  persistAuthorization: false,
  validatorUrl: null,
  onComplete: () => {
    Object.entries(kept()).forEach(([name, value]) => ui.preauthorizeApiKey(name, value));
    fillIn(ui.getSystem());
  },
  plugins: [
    () => ({
      statePlugins: {
        auth: {
          wrapActions: {
            authorize: (original) => (given) => {
              keep(Object.values(given).reduce((keys, one) => ({ ...keys, [one.name]: one.value }), kept()));
              return original(given);
            },
            logout: (original) => (names) => {
              keep(Object.fromEntries(Object.entries(kept()).filter(([name]) => !names.includes(name))));
              return original(names);
            },
          },
        },
      },
    }),
  ],
});
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one path answers."""

    body: bytes
    content_type: str
    cache: str
    headers: dict[str, str] = field(default_factory=dict)


def documentation() -> dict[str, Answer]:
    """Every path but /metrics: the page, what it loads, and the OpenAPI document as JSON."""
    page = Answer(_PAGE.encode(), "text/html; charset=utf-8", "no-cache", {"Content-Security-Policy": POLICY})
    start = Answer(_START.encode(), "text/javascript; charset=utf-8", "no-cache")
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where there is one, is many times faster
        document = json.dumps(yaml.load(resources.OPENAPI_YAML.read_bytes(), Loader=loader)).encode()  # noqa: S506
        assets = {
            f"/docs/{name}": Answer((swagger_ui_path / name).read_bytes(), content_type, "public, max-age=3600")
            for name, content_type in _ASSETS.items()
        }
    except OSError as missing:
        raise StartupError(f"The documentation is incomplete: {missing.filename} cannot be read.") from None
    openapi = Answer(document, "application/json", "no-cache")
    return {"/docs": page, "/docs/": page, "/docs/start.js": start, "/openapi.json": openapi, **assets}


def error(code: int, message: str) -> Answer:
    """An error in the service's shape; ``code`` is that of gRPC."""
    body = json.dumps({"code": code, "message": message, "details": []}, separators=(",", ":")).encode()
    return Answer(body, "application/json", cache="no-store")
