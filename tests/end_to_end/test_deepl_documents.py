"""Glossaries and documents by DeepL's client, over a real socket, and what it can do and the server cannot."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end.deepl_kit import Server, deepl_serving

deepl = pytest.importorskip("deepl")
Entries = pytest.importorskip("deepl.api_data").MultilingualGlossaryDictionaryEntries


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with deepl_serving() as found:
        yield found


def test_glossary_of_version_2(server: Server) -> None:
    client = server.client
    made = client.create_glossary("zoo", "DE", "EN", {"Hund": "hound", "Katze": "cat"})
    assert (made.source_lang, made.target_lang, made.entry_count, made.ready) == ("DE", "EN", 2, True)
    assert client.get_glossary(made.glossary_id).name == "zoo"
    assert client.get_glossary_entries(made) == {"Hund": "hound", "Katze": "cat"}
    assert server.translated("ein Hund", glossary=made).text == "EIN HOUND"
    assert client.translate_text_with_glossary("Katze", made).text == "CAT"
    with pytest.raises(ValueError, match="source_lang is required"):
        server.translated("ab", source=None, glossary=made)
    with pytest.raises(deepl.DeepLException, match="requires the source_lang"):
        server.translated("ab", source=None, extra_body_parameters={"glossary_id": made.glossary_id})
    with pytest.raises(deepl.DeepLException, match="this glossary is for de → en"):
        server.translated("ab", target="PT-BR", glossary=made.glossary_id)
    with pytest.raises(deepl.DeepLException, match="no such glossary"):
        server.translated("ab", glossary="0" * 32)
    client.delete_glossary(made)
    with pytest.raises(deepl.GlossaryNotFoundException):
        client.get_glossary(made.glossary_id)


def test_glossary_of_version_2_from_csv_and_its_errors(server: Server) -> None:
    client = server.client
    made = client.create_glossary_from_csv("c", "DE", "EN", 'Hund,"hound, big",de,en\r\nKatze,cat,de,en\n')
    assert client.get_glossary_entries(made) == {"Hund": "hound, big", "Katze": "cat"}
    client.delete_glossary(made)
    pairs = {(one.source_lang, one.target_lang) for one in client.get_glossary_languages()}
    assert pairs == {("de", "en"), ("en", "de"), ("de", "pt-br")}
    for entries in ("Hund", "Hund,a\nHund,b", ",a"):
        with pytest.raises(deepl.DeepLException, match="Invalid glossary entries provided"):
            client.create_glossary_from_csv("c", "DE", "EN", entries)
    with pytest.raises(deepl.DeepLException, match="Value for 'target_lang' not supported"):
        client.create_glossary("c", "DE", "FR", {"a": "b"})
    large = {f"wort{number}": "word" for number in range(5000)}
    made = client.create_glossary("large", "DE", "EN", large)
    assert made.entry_count == len(large)
    client.delete_glossary(made)
    with pytest.raises(deepl.DeepLException, match="1 to 5,000 rows"):
        client.create_glossary("large", "DE", "EN", large | {"x": "y"})


def test_glossary_of_version_3_has_several_languages(server: Server) -> None:
    client, entries_of = server.client, Entries
    to_english = entries_of("DE", "EN", {"Hund": "hound"})
    made = client.create_multilingual_glossary("zoo", [to_english, entries_of("EN", "DE", {"dog": "Hund"})])
    assert [(one.source_lang, one.target_lang, one.entry_count) for one in made.dictionaries] == [
        ("DE", "EN", 1), ("EN", "DE", 1)
    ]  # fmt: skip
    assert server.translated("ein Hund", glossary=made).text == "EIN HOUND"
    assert server.translated("a dog", source="EN", target="DE", glossary=made).text == "A HUND"
    assert client.list_glossaries() == [], "version 2 has no place for it"
    assert [one.glossary_id for one in client.list_multilingual_glossaries()] == [made.glossary_id]
    client.update_multilingual_glossary_name(made, "animals")
    client.update_multilingual_glossary_dictionary(made, entries_of("DE", "EN", {"Katze": "cat"}))
    client.update_multilingual_glossary_dictionary(made, entries_of("DE", "EN", {"Katze": "tabby"}))
    (found,) = client.get_multilingual_glossary_entries(made, "DE", "EN").dictionaries
    assert found.entries == {"Hund": "hound", "Katze": "tabby"} or set(found.entries.split("\n")) == {
        "Hund\thound", "Katze\ttabby"
    }  # fmt: skip
    replaced = client.replace_multilingual_glossary_dictionary(made, entries_of("DE", "EN", {"Maus": "mouse"}))
    assert replaced.entry_count == 1
    client.delete_multilingual_glossary_dictionary(made, source_lang="EN", target_lang="DE")
    again = client.get_multilingual_glossary(made.glossary_id)
    assert (again.name, [one.entry_count for one in again.dictionaries]) == ("animals", [1])
    assert client.get_glossary_entries(made.glossary_id) == {"Maus": "mouse"}, "now version 2 can show it"
    with pytest.raises(deepl.GlossaryNotFoundException):
        client.get_multilingual_glossary_entries(made, "EN", "DE")
    client.delete_multilingual_glossary(made)
    with pytest.raises(deepl.GlossaryNotFoundException):
        client.get_multilingual_glossary(made.glossary_id)


def test_glossary_of_version_3_from_csv_and_its_errors(server: Server) -> None:
    client, entries_of = server.client, Entries
    made = client.create_multilingual_glossary_from_csv("c", "DE", "EN", "Hund,hound\n")
    client.update_multilingual_glossary_dictionary_from_csv(made, "DE", "EN", "Katze,cat\n")
    client.replace_multilingual_glossary_dictionary_from_csv(made, "EN", "DE", "dog,Hund\n")
    assert [one.entry_count for one in client.get_multilingual_glossary(made.glossary_id).dictionaries] == [2, 1]
    client.delete_multilingual_glossary(made)
    twice = [entries_of("DE", "EN", {"a": "b"}), entries_of("DE", "EN", {"c": "d"})]
    with pytest.raises(deepl.DeepLException, match="two dictionaries for de → en"):
        client.create_multilingual_glossary("c", twice)
    with pytest.raises(deepl.DeepLException, match="Glossary dictionaries must be provided"):
        client.create_multilingual_glossary("c", [])


def test_glossary_ids_are_applied_in_their_order(server: Server) -> None:
    client = server.client
    made = [client.create_glossary(name, "DE", "EN", {"Hund": name, f"Tier {name}": "x"}) for name in ("one", "two")]
    assert server.translated("Hund, Tier two", glossary_ids=made).text == "ONE, X"
    assert server.translated("Hund, Tier one", glossary_ids=[made[1], made[0]]).text == "TWO, X"
    with pytest.raises(deepl.DeepLException, match="cannot be used together"):
        server.translated("a", glossary=made[0], extra_body_parameters={"glossary_ids": [made[1].glossary_id]})
    with pytest.raises(deepl.DeepLException, match="not contain more than 5"):
        server.translated("a", extra_body_parameters={"glossary_ids": ["0" * 32] * 6})
    for one in made:
        client.delete_glossary(one)


def uploaded(server: Server, content: bytes = b"ein Hund\n", **options: Any) -> Any:
    named = {"filename": "a.txt", "source_lang": "DE", "target_lang": "EN-US"} | options
    return server.client.translate_document_upload(content, **named)


def fetched(server: Server, handle: Any) -> bytes:
    while not (status := server.client.translate_document_get_status(handle)).done:
        assert status.ok
    found = io.BytesIO()
    server.client.translate_document_download(handle, found)
    return found.getvalue()


def test_document_is_sent_asked_for_and_fetched_once(server: Server) -> None:
    handle = uploaded(server)
    assert fetched(server, handle) == b"EIN HUND\n"
    with pytest.raises(deepl.DeepLException, match="no such document"):
        server.client.translate_document_get_status(handle)
    handle = uploaded(server)
    wrong = deepl.DocumentHandle(handle.document_id, "wrong")
    with pytest.raises(deepl.DeepLException, match="Not found"):
        server.client.translate_document_download(wrong, io.BytesIO())
    assert fetched(server, handle) == b"EIN HUND\n"


def test_document_that_is_not_done_is_not_ready(server: Server) -> None:
    with server.model.held():
        handle = uploaded(server)
        status = server.client.translate_document_get_status(handle)
        assert (status.status.value, status.seconds_remaining, status.billed_characters) == ("translating", None, None)
        response = server.client._client._session.post(
            f"{server.client.server_url}/v2/document/{handle.document_id}/result",
            json={"document_key": handle.document_key},
            headers=server.client.headers,
        )
        assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert fetched(server, handle) == b"EIN HUND\n"


def test_options_of_documents(server: Server) -> None:
    client = server.client
    made = client.create_multilingual_glossary("zoo", [Entries("DE", "EN", {"Hund": "hound"})])
    assert fetched(server, uploaded(server, glossary=made)) == b"EIN HOUND\n"
    assert fetched(server, uploaded(server, glossary_ids=[made])) == b"EIN HOUND\n"
    client.delete_multilingual_glossary(made)
    for options, named in (
        ({}, []),
        ({"formality": "prefer_more"}, ["formality"]),
        ({"output_format": "txt"}, []),
        ({"extra_body_parameters": {"split_sentences": "0"}}, ["split_sentences"]),
    ):
        handle = uploaded(server, **options)
        assert server.named == named
        fetched(server, handle)
    for options, said in (
        ({"formality": "more"}, "'formality' is not supported"),
        ({"output_format": "pdf"}, "Value for 'output_format' not supported; it can only be 'txt'"),
        ({"source_lang": "XX"}, "Value for 'source_lang' not supported"),
        ({"target_lang": "XX"}, "Value for 'target_lang' not supported"),
        ({"filename": "a.exe"}, "file format not supported"),
        ({"glossary": "0" * 32}, "no such glossary"),
    ):
        with pytest.raises(deepl.DeepLException, match=re.escape(said)):
            uploaded(server, **options)


def test_what_else_the_client_can_do_is_refused_in_deepls_form(server: Server) -> None:
    client = server.client
    for call in (
        lambda: client.rephrase_text("ab", target_lang="EN-US"),
        lambda: client.correct_text("ab"),
        client.get_all_style_rules,
        client.list_translation_memories,
    ):
        with pytest.raises(deepl.DeepLException, match="is not supported by this server"):
            call()


def test_a_wrong_key_is_refused_by_every_path_of_the_client(server: Server) -> None:
    client = deepl.DeepLClient("wrong", server_url=server.client.server_url)
    for call in (
        client.get_usage, client.get_source_languages, client.get_glossary_languages, client.list_glossaries,
        client.list_multilingual_glossaries, lambda: client.translate_text("ab", target_lang="EN-US"),
        lambda: client.translate_document_upload(b"ab", filename="a.txt", target_lang="EN-US"),
    ):  # fmt: skip
        with pytest.raises(deepl.AuthorizationException):
            call()
    client.close()
