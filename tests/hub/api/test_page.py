"""The page shows everything, runs nothing, and loads nothing from anywhere."""

from __future__ import annotations

from html.parser import HTMLParser

import httpx

from hub.api.openapi import openapi_document
from hub.api.page import documentation_page
from hub.api.routes import ROUTES

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Reader(HTMLParser):
    """Notes tags, targets and text, and that every tag is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        self.ids |= {value for name, value in attrs if name == "id" and value is not None}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: bytes) -> Reader:
    reader = Reader()
    reader.feed(page.decode())
    reader.close()
    return reader


def test_it_shows_every_route_type_and_status() -> None:
    document = openapi_document("1.2.3")
    page = read(documentation_page(document))
    assert page.open == []
    assert "1.2.3" in page.text
    for route in ROUTES:
        assert route.path in page.text
        assert route.summary.replace("`", "") in page.text
    for name in document["components"]["schemas"]:
        assert f"type-{name}" in page.ids


def test_it_runs_nothing_and_loads_nothing() -> None:
    page = read(documentation_page(openapi_document("1.2.3")))
    assert page.tags.isdisjoint({"script", "img", "link", "iframe", "object", "embed", "form", "base"})
    targets = [value or "" for name, value in page.attributes if name in ("href", "src")]
    assert all(target.startswith("#") or target == "/openapi.json" for target in targets)
    assert not any(name.startswith("on") or name == "style" for name, _ in page.attributes)


def test_links_inside_lead_somewhere() -> None:
    page = read(documentation_page(openapi_document("1.2.3")))
    wanted = {(value or "")[1:] for name, value in page.attributes if name == "href" and (value or "").startswith("#")}
    assert wanted <= page.ids


def test_text_of_the_document_cannot_become_markup() -> None:
    document = openapi_document("<script>alert(1)</script>")
    assert "script" not in read(documentation_page(document)).tags


async def test_the_browser_is_told_to_load_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
