"""The OpenAPI document describes the routes that exist, and the answers that they give."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.serving.service_kit import Shouter, client_of, service_of

from pellucid.serving.protocols.routes import service_routes

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture(scope="module")
def document() -> Any:
    with service_of(Shouter()) as service, client_of(service) as client:
        assert client.get("/spec").content == client.get("/v1/openapi.json").content
        return client.get("/spec").json()


def test_every_route_is_described_and_nothing_else(document: Any) -> None:
    with service_of(Shouter()) as service:
        routes = {
            (one.path, method) for one in service_routes(service) for method in one.methods or () if method != "HEAD"
        }
    described = {
        (path, method.upper()) for path, item in document["paths"].items() for method in item if method != "parameters"
    }
    assert described == routes


def test_the_document_is_sound(document: Any) -> None:
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    text = json.dumps(document)
    for kind in ("schemas", "responses"):
        for name in document["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text
    references = {part.split('"')[0] for part in text.split('"$ref": "#/components/')[1:]}
    assert all(name in document["components"][kind] for kind, name in (one.split("/") for one in references))
    assert document["openapi"].startswith("3.1")


WISH = {"text": ["Ab oda! Efa.", "…"], "source": "de", "target": "en"}


@pytest.mark.parametrize(
    ("path", "wish"),
    [
        ("/v1/translate", WISH),
        (
            "/v1/translate",
            WISH | {"n_best": 3, "tokens": True, "alignment": True, "glossary": [{"source": "a", "target": "b"}]},
        ),
        ("/v1/translate", WISH | {"memory": [{"source": "Ab oda!", "target": "x"}, {"source": "Efa!", "target": "y"}]}),
        ("/translate", {"q": "ab", "source": "de", "target": "en", "alternatives": 2}),
        ("/translate", {"q": ["ab"], "source": "auto", "target": "en"}),
        ("/translate", {"q": ["ab"], "source": "zz", "target": "en"}),
        ("/detect", {"q": "Der schnelle braune Fuchs"}),
    ],
)
def test_requests_and_answers_are_as_the_document_says(document: Any, path: str, wish: dict[str, Any]) -> None:
    pytest.importorskip("py3langid")
    post = document["paths"][path]["post"]
    with service_of(Shouter()) as service, client_of(service) as client:
        answer = client.post(path, json=wish)
    if body := post.get("requestBody"):
        checked(document, body["content"]["application/json"]["schema"], wish)
    kind = "200" if answer.status_code == 200 else "default"
    response = post["responses"][kind]
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rsplit("/")[-1]]
    checked(document, response["content"]["application/json"]["schema"], answer.json())


def checked(document: Any, schema: Any, value: object) -> None:
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(value)
