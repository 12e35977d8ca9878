"""A server over a small random model, asked without a network."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient
from tests.models import random_model

from pellucid.config import TranslationConfig
from pellucid.page.catalogue import Catalogue, OpenedModel, open_model
from pellucid.serving.app import create_app
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.translation.translator import Translator

HERE = "http://127.0.0.1:8642"


def opened_model(**changes: object) -> OpenedModel:
    config = TranslationConfig(beam_size=2, max_length_factor=1e-9, max_length_constant=7)
    return open_model(Translator(random_model(seed=5, **changes), BytesTokenizer(), config=config), name="Toy")


def client(
    opened: OpenedModel | None = None, *, host: str = "127.0.0.1", base_url: str = HERE, **options: Any
) -> TestClient:
    opened = opened or opened_model()
    catalogue = Catalogue([opened], make_translator=lambda bundle: opened.translator)
    return TestClient(create_app(catalogue, host=host, **options), base_url=base_url)


def ask(server: TestClient, source: str = "ab c", **wish: object) -> Any:
    return server.post("/api/traces", json={"model": "toy", "source": source, **wish})
