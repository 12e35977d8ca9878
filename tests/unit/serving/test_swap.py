"""A model is replaced while clients use it: nothing is dropped, and each answer is from one of the two models."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.embedded_model import TAGS
from tests.models import random_model, save_model
from tests.unit.serving.service_kit import Shouter, client_of, pair_of

from pellucid.config.service import ServedModel, ServiceConfig
from pellucid.errors import BundleError
from pellucid.jobs.serve import open_catalogue
from pellucid.jobs.service.opening import open_service
from pellucid.serving.models.pool import ModelPool, ServedPair
from pellucid.serving.refusals import Refusal
from pellucid.serving.service import Service
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.tracing.provenance import weights_sha256
from pellucid.translation.hypothesis import Translation
from pellucid.translation.memory.units import TranslationMemory

PAIR = {"source": "de", "target": "en"}


class Named(Shouter):
    """Writes its name behind each sentence."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def _translation(self, text: str, count: int, settings: dict[str, Any]) -> Translation:
        return replace(super()._translation(text, count, settings), text=f"{text}{self.name}")


class Place:
    """Stands for a folder of a model, which can be replaced."""

    def __init__(self, first: Named) -> None:
        self.here: Named | Exception = first

    def pair(self) -> ServedPair:
        if isinstance(self.here, Exception):
            raise self.here
        name = self.here.name
        return pair_of(
            self.here, version=name, stamp=lambda: id(self.here), read_again=self.pair, memory=TranslationMemory([])
        )


def test_a_swap_under_eight_clients_drops_nothing_and_mixes_no_answer() -> None:
    old, new = Named("A"), Named("B")
    place = Place(old)
    pool = ModelPool([place.pair()])
    service = Service(pool, ServiceConfig(), threads=2)
    pool.open_what_fits()
    service._workers.start()
    answers: list[tuple[int, list[str]]] = []
    enough = threading.Event()

    def ask(client: Any) -> None:
        after = 0
        while after < 5:
            answer = client.post("/v1/translate", json={"text": ["x. y.", "z."], "split_sentences": True, **PAIR})
            texts = [one["text"] for one in answer.json()["translations"]]
            answers.append((answer.status_code, [*texts, answer.json()["model"]["weights"]]))
            after += enough.is_set()

    with client_of(service) as client:
        with old.held():
            clients = [threading.Thread(target=ask, args=(client,)) for _ in range(8)]
            for one in clients:
                one.start()
            old.wait_for_a_call()  # the open call of the start
            old.wait_for_a_call()
            place.here = new
            assert pool.refresh() == ["toy: de → en: the model B has replaced A"]
        enough.set()
        assert client.post("/v1/translate", json={"text": "q", **PAIR}).json()["translations"][0]["text"] == "qB"
        for one in clients:
            one.join()
        assert pool.refresh() == []
    service.end()
    assert {status for status, _ in answers} == {200}
    names = [{text[-1] for text in texts[:2]} for _, texts in answers]
    assert all(len(one) == 1 for one in names)
    assert {name for one in names for name in one} == {"A", "B"}
    assert pool.pairs["de", "en"].memory is not None


def test_a_model_that_cannot_be_used_leaves_the_old_one() -> None:
    place = Place(Named("A"))
    pool = ModelPool([place.pair()])
    pool.open_what_fits()
    place.here = BundleError("weights.safetensors: is damaged")
    assert pool.refresh() == [
        "toy: the new model cannot be used, and the old one stays: weights.safetensors: is damaged"
    ]
    place.here = other = Named("C")
    other.source_language = "fr"
    assert pool.refresh() == ["toy: the new model translates fr → en, so the old one stays"]
    with pool.used(pool.find("de", "en")) as translator:
        assert translator.name == "A"


def test_a_link_that_leads_to_another_model_is_followed_and_the_answer_names_its_weights(tmp_path: Path) -> None:
    for number in (1, 2):
        model = random_model(seed=number, d_model=12, d_feedforward=17, num_encoder_layers=1, num_decoder_layers=1)
        save_model(tmp_path / str(number), model, source_language="de", target_language="en")
    link = tmp_path / "live"
    link.symlink_to(tmp_path / "1")
    service = open_service(ServiceConfig(), [link], threads=1)
    pool = service.pool
    pool.open_what_fits()
    before = pool.pairs["de", "en"].version
    assert pool.refresh() == []
    (tmp_path / "next").symlink_to(tmp_path / "2")
    (tmp_path / "next").replace(link)
    (said,) = pool.refresh()
    assert said.endswith(f"has replaced {before}")
    service._workers.start()
    with client_of(service) as client:
        answer = client.post("/v1/translate", json={"text": "ab", **PAIR}).json()
    service.end()
    assert answer["model"]["weights"] == pool.pairs["de", "en"].version != before


def test_a_model_of_several_languages_writes_the_one_of_its_pair(tmp_path: Path) -> None:
    tokenizer = BytesTokenizer(tags=TAGS)
    model = random_model(tokenizer, d_model=12, d_feedforward=17, num_encoder_layers=1, num_decoder_layers=1)
    save_model(tmp_path / "many", model, tokenizer, source_language="mul", target_language="mul")
    for target in ("de", "en"):
        served = ServedModel(path=str(tmp_path / "many"), source="fr", target=target)
        pool = open_service(ServiceConfig(models=(served,)), [], threads=1).pool
        pool.open_what_fits()
        with pool.used(pool.find("fr", target)) as translator:
            assert translator.tokenizer.default_tag == f">>{target}<<"
            assert "missing_tag" not in translator.translate("ab").flags


def test_codes_of_clients_are_remembered_within_a_limit() -> None:
    pool = ModelPool([pair_of(Shouter())])
    for number in range(1000):
        assert pool.translating(f"de-{number}", "en") is pool.pairs["de", "en"]
        assert pool.translating("en", f"en-{number}") is None, "it is in this language already"
    assert len(pool._translated) <= 256
    new = pool.pairs["de", "en"] = pair_of(Shouter(), version="new")
    assert pool.translating("de-999", "en") is new
    for _ in range(2):
        with pytest.raises(Refusal, match="zz is not supported"):
            pool.translating("de", "zz")


def test_the_page_shows_the_model_that_took_the_place_of_another(tmp_path: Path) -> None:
    for number in (1, 2):
        model = random_model(seed=number, d_model=12, d_feedforward=17, num_encoder_layers=1, num_decoder_layers=1)
        save_model(tmp_path / f"model-{number}", model, source_language="de", target_language="en")
    link = tmp_path / "live"
    link.symlink_to("model-1")
    catalogue = open_catalogue([link], threads=1)
    (old,) = catalogue.models
    assert catalogue.refresh() == []
    (tmp_path / "next").symlink_to("model-2")
    (tmp_path / "next").replace(link)
    assert catalogue.refresh() == []
    (new,) = catalogue.models
    assert (old.name, new.name, new.id) == ("model-1", "model-2", old.id)
    assert catalogue.get(old.id) is new
    assert weights_sha256(new.translator.model) != weights_sha256(old.translator.model)
    (tmp_path / "model-2" / "model.toml").write_text("damaged", encoding="utf-8")
    (said,) = catalogue.refresh()
    assert said.startswith("model-2: the page cannot show the new model, and shows the old one: ")
    assert catalogue.get(old.id) is new


def test_what_follows_the_models_is_asked_after_them() -> None:
    seen = threading.Event()

    def look() -> list[str]:
        seen.set()
        return ["the page: said"]

    service = Service(ModelPool([pair_of(Shouter())]), ServiceConfig())
    service.start(follows=[look])
    assert seen.wait(60)
    service.end()
