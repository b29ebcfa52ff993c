"""``/docs``: the OpenAPI document as one page of plain HTML; FastAPI's own fetches a script from the network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from typing import Any

Document = dict[str, Any]

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
body { color: #1c2430; background: #fff }
h2 { border-bottom: 1px solid #d5dbe3; padding-top: 1rem }
h3 { margin-bottom: .3rem }
code { font-family: ui-monospace, monospace; background: #f0f3f7; border-radius: 4px; padding: .1rem .3rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #e4e9ef }
.verb { color: #0b5c8a; font-weight: 700 }
@media (prefers-color-scheme: dark) {
  body { color: #dde4ec; background: #14191f }
  code { background: #222a33 }
  a, .verb { color: #76c0ea }
  h2, th, td { border-color: #36414d }
}
"""

STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CONTENT_POLICY = f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"


def render(document: Document) -> str:
    """The page for an OpenAPI 3.1 document."""
    info = document["info"]
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(info['title'])} API</title><style>{STYLE}</style></head><body>",
            f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info.get('description', ''))}</p>",
            '<p>For programs: <a href="openapi.json">openapi.json</a></p>',
            *_calls(document),
            "<h2>What travels as JSON</h2>",
            *_schemas(document),
            "</body></html>",
        ]
    )


def _calls(document: Document) -> Iterator[str]:
    for path, calls in document["paths"].items():
        for verb, call in calls.items():
            yield f'<section id="{escape(call["operationId"])}">'
            yield f'<h2><span class="verb">{verb.upper()}</span> <code>{escape(path)}</code></h2>'
            yield f"<p>{escape(call.get('summary', ''))}. {escape(call.get('description', ''))}</p>"
            yield from _scopes(call)
            yield from _parameters(call)
            yield from _parts(call)
            yield from _answers(call)
            yield "</section>"


def _scopes(call: Document) -> Iterator[str]:
    for scope in (scope for scheme in call.get("security", []) for scopes in scheme.values() for scope in scopes):
        yield f"<p>Needs a key with the scope <code>{escape(scope)}</code>, where keys were made.</p>"


def _parameters(call: Document) -> Iterator[str]:
    rows = [
        (f"{p['name']} ({p['in']})", _type(p["schema"]), p.get("description", "")) for p in call.get("parameters", [])
    ]
    yield from _table("Parameters", rows)


def _parts(call: Document) -> Iterator[str]:
    for media, content in call.get("requestBody", {}).get("content", {}).items():
        properties = content["schema"].get("properties", {})
        yield from _table(
            f"Body: {media}", [(name, _type(part), part.get("description", "")) for name, part in properties.items()]
        )


def _answers(call: Document) -> Iterator[str]:
    rows = [
        (status, ", ".join(answer.get("content", {})), answer["description"])
        for status, answer in call["responses"].items()
    ]
    yield from _table("Answers", rows)


def _schemas(document: Document) -> Iterator[str]:
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        yield f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{escape(schema.get("description", ""))}</p>'
        rows = [(field, _type(of), of.get("description", "")) for field, of in schema.get("properties", {}).items()]
        yield from _table("", rows)


def _table(title: str, rows: list[tuple[str, str, str]]) -> Iterator[str]:
    if title and rows:
        yield f"<h3>{escape(title)}</h3>"
    if rows:
        body = "".join(
            f"<tr><td><code>{escape(a)}</code></td><td>{escape(b)}</td><td>{escape(c)}</td></tr>" for a, b, c in rows
        )
        yield f"<table>{body}</table>"


def _type(schema: Document) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return " | ".join(map(str, schema["enum"])) if "enum" in schema else str(schema.get("type", "anything"))
