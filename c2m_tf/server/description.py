"""The page that describes the interface, made of its OpenAPI description: no script, nothing from elsewhere."""

from html import escape
from typing import Any

_STYLE = """
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { margin: 0 auto; max-width: 56rem; padding: 1.5rem; }
  h2 { font: bold 1.1rem monospace; border-top: 1px solid #8886; padding-top: 1rem; }
  td, th { padding: .1rem 1rem .1rem 0; text-align: left; vertical-align: top; }
"""


def description_page(openapi: dict[str, Any]) -> str:
    """HTML of an OpenAPI description: for each path and method its text, parameters, form fields and responses."""
    parts = [
        "<!doctype html>\n<html lang='en'><meta charset='utf-8'><title>c2m-tf: HTTP interface</title>",
        f"<link rel='icon' href='data:,'><style>{_STYLE}</style>",
        f"<h1>{escape(openapi['info']['title'])} {escape(openapi['info']['version'])}</h1>",
        "<p>The same for programs: <a href='openapi.json'>openapi.json</a></p>",
    ]
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2>{escape(method.upper())} {escape(path)}</h2><p>{escape(operation.get('description', ''))}</p>")
            rows = [(given["name"], given["in"], given["schema"]) for given in operation.get("parameters", [])]
            rows += [(name, "form", schema) for name, schema in _fields(openapi, operation).items()]
            if rows:
                parts.append(_table(("name", "in", "type"), [(name, place, _kind(schema)) for name, place, schema in rows]))
            answers = [(status, answer.get("description", "")) for status, answer in operation["responses"].items()]
            parts.append(_table(("status", "meaning"), answers))
    return "\n".join(parts) + "\n</html>\n"


def _fields(openapi, operation):
    """{name: schema} of the form of an operation."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        return openapi["components"]["schemas"].get(name, {}).get("properties", {})
    return {}


def _kind(schema):
    """A JSON schema in a word or two."""
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"any number of: {_kind(schema['items'])}"
    is_file = "contentMediaType" in schema or schema.get("format") == "binary"
    return "file" if is_file else str(schema.get("type", ""))


def _table(head, rows):
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"
