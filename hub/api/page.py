"""`/docs`: the OpenAPI document as one page to read. No script, no picture, nothing from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Any, Final

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; }
table { border-collapse: collapse; margin: 0.5rem 0 1rem; }
th, td { border-bottom: 1px solid #8884; padding: 0.2rem 0.8rem 0.2rem 0; text-align: left; vertical-align: top; }
summary { cursor: pointer; padding: 0.3rem 0; }
summary code { display: inline-block; min-width: 4.5rem; font-weight: bold; }
details { border-bottom: 1px solid #8884; }
section { margin-top: 2rem; }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #ddd; } a { color: #8bf; } }
"""


def documentation_page(document: Mapping[str, Any]) -> bytes:
    """Return the HTML page of an OpenAPI document, UTF-8."""
    info = document["info"]
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width, initial-scale=1'>",
        f"<title>{_text(info['title'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{_text(info['title'])} {_text(info['version'])}</h1>",
        *(f"<p>{_prose(block)}</p>" for block in info["description"].split("\n\n")),
        "<p>The same for programs: <a href='/openapi.json'>/openapi.json</a></p>",
        *_operations(document),
        "<section><h2>Types</h2>",
        *(_schema(name, schema) for name, schema in document["components"]["schemas"].items()),
        "</section></body></html>",
    ]
    return "\n".join(parts).encode()


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    for tag, operations in by_tag.items():
        yield f"<section><h2>{_text(tag.capitalize())}</h2>{''.join(operations)}</section>"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    head = f"<code>{method.upper()}</code> <code>{_text(path)}</code> {_prose(operation['summary'])}"
    body = f"<p>{_prose(operation['description'])}</p>{_parameters(operation)}{_body(operation)}{_answers(operation)}"
    return f"<details id='{operation['operationId']}'><summary>{head}</summary>{body}</details>"


def _parameters(operation: Mapping[str, Any]) -> str:
    rows = [
        (f"<code>{_text(given['name'])}</code>", given["in"], _type(given["schema"]), _default(given["schema"]))
        for given in operation["parameters"]
    ]
    return _table(("Parameter", "in", "type", ""), rows) if rows else ""


def _body(operation: Mapping[str, Any]) -> str:
    if "requestBody" not in operation:
        return ""
    schemas = [_type(content["schema"]) for content in operation["requestBody"]["content"].values()]
    return f"<p>Body: {', '.join(schemas)}</p>"


def _answers(operation: Mapping[str, Any]) -> str:
    rows = []
    for status, answer in operation["responses"].items():
        kinds = [f"{_type(content['schema'])} ({_text(media)})" for media, content in answer.get("content", {}).items()]
        rows.append((f"<code>{status}</code>", _prose(answer["description"]), ", ".join(kinds)))
    return _table(("Answer", "", ""), rows)


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    described = f"<p>{_prose(schema['description'])}</p>" if "description" in schema else ""
    if "enum" in schema:
        described += f"<p>{', '.join(f'<code>{_text(str(value))}</code>' for value in schema['enum'])}</p>"
    if "allOf" in schema:
        described += f"<p>{_type(schema)}</p>"
    required = schema.get("required", [])
    rows = [
        (f"<code>{_text(field)}</code>", _type(kind), "required" if field in required else _default(kind))
        for field, kind in schema.get("properties", {}).items()
    ]
    table = _table(("Field", "type", ""), rows) if rows else ""
    return f"<details id='{_anchor(name)}'><summary><b>{_text(name)}</b></summary>{described}{table}</details>"


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in a few words, as HTML."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        return f"<a href='#{_anchor(name)}'>{_text(name)}</a>"
    for key, joint in (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")):
        if key in schema:
            return joint.join(_type(choice) for choice in schema[key])
    match schema.get("type"):
        case "array":
            return f"list of {_type(schema.get('items', {}))}"
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return f"map of {_type(schema['additionalProperties'])}"
        case None:
            return f"<code>{_text(str(schema['const']))}</code>" if "const" in schema else "any"
        case kind:
            return _text(str(kind)) + _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    signs = {"minimum": "≥", "maximum": "≤", "exclusiveMinimum": "&gt;", "exclusiveMaximum": "&lt;"}
    return "".join(f", {sign} {schema[key]}" for key, sign in signs.items() if key in schema)


def _default(schema: Mapping[str, Any]) -> str:
    default = schema.get("default")
    return f"default <code>{_text(str(default))}</code>" if default not in (None, "", [], {}) else ""


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>{lines}</table>"


def _anchor(name: str) -> str:
    return "type-" + _text(name)


def _text(text: str) -> str:
    return html.escape(text, quote=True)


def _prose(text: str) -> str:
    """Escaped text in which `this` is code."""
    pieces = _text(text).split("`")
    return "".join(f"<code>{piece}</code>" if index % 2 else piece for index, piece in enumerate(pieces))
