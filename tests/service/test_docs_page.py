"""The documentation of the API, without a network."""

import re

import pytest
from fastapi import FastAPI

from skipseg.service.docs_page import render


def test_the_page_names_every_call_and_loads_nothing(client) -> None:
    page, document = client.get("/docs"), client.get("/openapi.json").json()
    assert page.headers["Content-Type"].startswith("text/html")
    assert [path for path in document["paths"] if path not in page.text] == []
    assert "scope <code>segment</code>" in page.text
    assert not re.search(r"<script|<link|src=|https?://", page.text)


def test_every_reference_of_the_document_leads_somewhere(client) -> None:
    text, document = client.get("/openapi.json").text, client.get("/openapi.json").json()
    named = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert named
    assert named <= set(document["components"]["schemas"])


@pytest.mark.parametrize("path", ["/v1/segmentations", "/v1/models/{name}"])
def test_what_can_go_wrong_is_documented_as_problems(client, path: str) -> None:
    calls = client.get("/openapi.json").json()["paths"][path]
    refusals = [answer for call in calls.values() for status, answer in call["responses"].items() if status >= "400"]
    assert refusals
    assert all(set(refusal["content"]) == {"application/problem+json"} for refusal in refusals)


def test_what_a_document_says_is_escaped() -> None:
    app = FastAPI(title="<script>alert(1)</script>", description="<b>")
    assert "<script>" not in render(app.openapi())
