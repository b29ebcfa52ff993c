"""The OpenAPI document tells programs, and those who write them, what to expect: also when it does not work."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from skipseg.service.app import create_app
from skipseg.service.examples import PROBLEMS, SCHEMAS
from skipseg.service.jobs.answers import ItemPage, JobAnswer
from skipseg.service.jobs.orders import SegmentOrder
from skipseg.service.problems import MEDIA_TYPE
from skipseg.service.routes.uploads import UploadAnswer
from skipseg.service.schemas import Health, Problem, Readiness
from skipseg.service.settings import Settings

MODELS = (Health, Readiness, SegmentOrder, UploadAnswer, JobAnswer, ItemPage)


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> dict:
    app = create_app(Settings(data=tmp_path_factory.mktemp("data"), device="cpu"))
    try:
        return app.openapi()
    finally:
        app.state.server.engine.close()
        app.state.server.jobs.close()


def operations(document: dict) -> Iterator[tuple[str, dict]]:
    for path, calls in document["paths"].items():
        for verb, call in calls.items():
            yield f"{verb.upper()} {path}", call


def test_every_operation_has_a_summary_of_its_own(document) -> None:
    summaries = {name: call.get("summary", "") for name, call in operations(document)}
    assert all(summaries.values())
    assert len(set(summaries.values())) == len(summaries)
    assert not [name for name, summary in summaries.items() if re.fullmatch(r"([A-Z][a-z]+ ?)+", summary)]


def test_every_success_tells_what_comes(document) -> None:
    for name, call in operations(document):
        for status, answer in call["responses"].items():
            if status.startswith("2") and status != "204":
                contents = answer["content"].values()
                assert all(content.get("schema") or content.get("example") for content in contents), name


def test_every_error_is_a_problem_with_an_example_that_is_one(document) -> None:
    for name, call in operations(document):
        for status, answer in call["responses"].items():
            if not status.startswith("2"):
                assert set(answer["content"]) == {MEDIA_TYPE}, name
                example = Problem.model_validate(answer["content"][MEDIA_TYPE]["example"])
                assert str(example.status) == status


def test_every_operation_that_names_something_may_not_find_it(document) -> None:
    assert [name for name, call in operations(document) if "{" in name and "404" not in call["responses"]] == []


@pytest.mark.parametrize("model", MODELS)
def test_an_example_is_what_its_schema_says_and_is_shown(document, model) -> None:
    example = SCHEMAS[model.__name__]
    assert model.model_validate(example).model_dump(mode="json", exclude_unset=True) == example
    assert document["components"]["schemas"][model.__name__]["examples"] == [example]


def test_every_example_is_compared_with_its_schema() -> None:
    assert set(SCHEMAS) == {model.__name__ for model in MODELS}


def test_references_lead_to_schemas_that_are_there(document) -> None:
    referred = set(re.findall(r"'#/components/schemas/(\w+)'", str(document)))
    assert referred <= set(document["components"]["schemas"])


def test_codes_of_the_examples_are_those_that_the_api_document_explains() -> None:
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    assert [code for code, _ in PROBLEMS.values() if f"`{code}`" not in text] == []
