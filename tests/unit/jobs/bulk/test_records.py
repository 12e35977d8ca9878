"""Records keep all they hold and get a translation; parts, kills and the kind of file do not show in the output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.models import random_model, save_model

from pellucid.errors import ConfigError, DataError
from pellucid.jobs.bulk import folder, record_files
from pellucid.jobs.bulk.addresses import translate_at
from pellucid.jobs.bulk.record_files import translate_records
from pellucid.jobs.options.parts import PartsOptions
from pellucid.jobs.options.translation import TranslationOptions
from pellucid.jobs.translate import FileOutcome

SETTINGS = ("beam_size=1", "max_length_constant=3", "max_length_factor=0.1", "split_sentences=never")
OPTIONS = TranslationOptions(settings=SETTINGS, device="cpu", threads=1, engine="torch")
ODD = [
    '{"id": 1.50, "source": "ein \\u00e4pfel", "big": 12345678901234567890123, "n": {"a":[1 , 2]}}',
    '{"source":"zwei"}  ',
    '{"source": "ein \\u00e4pfel", "target": "old", "x": 1e3}',
]
POISON = ['{"source": 3, "id": 4}', "no json", "[1]", '{"id": 5}', '{"source": "\\ud800"}']


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("records") / "model", random_model(noise=0.5))


def run(model: Path, file: Path, output: Path, **more: Any) -> FileOutcome:
    return translate_records(model, str(file), output=output, options=OPTIONS, **more)


def translated(model: Path, texts: list[str]) -> list[str]:
    return [result.text for result in OPTIONS.open(model).translate(texts)]


def test_every_field_stays_as_it_was(model: Path, tmp_path: Path) -> None:
    file, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    file.write_text("".join(f"{line}\n" for line in ODD + POISON))
    outcome = run(model, file, output)
    first, second = translated(model, ["ein äpfel", "zwei"])
    lines = output.read_text().removesuffix("\n").split("\n")
    assert lines[0] == ODD[0].removesuffix("}") + f', "target": {json.dumps(first, ensure_ascii=False)}}}'
    assert json.loads(lines[1]) == {"source": "zwei", "target": second}
    assert json.loads(lines[2]) == {"source": "ein äpfel", "target": first, "x": 1e3}
    for before, line in zip(POISON, lines[3:], strict=True):
        record = json.loads(line)
        assert record.pop("target") is None
        assert record.pop("target_error")
        assert record == (json.loads(before) if before.startswith("{") else {"line": before})
    assert outcome.lines == len(ODD + POISON)
    assert len(outcome.problems) == len(POISON)
    assert any("in.jsonl, line 4: the field 'source' is 3 and not a text" in text for text in outcome.problems)


def test_a_record_that_is_no_text_is_kept_as_far_as_it_is(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b'{"text": "ein"}\n{"text": "b\xff", "id": 7}\n')
    run(model, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    last = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[1])
    assert last["line"] == '{"text": "b\ufffd", "id": 7}'
    assert "byte 12 (0xff) is not valid UTF-8" in last["translation_error"]


def test_an_empty_file_among_many_gives_an_empty_file(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b"")
    assert run(model, tmp_path / "in.jsonl", tmp_path / "out.jsonl").lines == 0
    assert (tmp_path / "out.jsonl").read_bytes() == b""
    run(model, tmp_path / "in.jsonl", tmp_path / "out.jsonl", field="body")
    assert (tmp_path / "out.jsonl").read_bytes() == b""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"text": pyarrow.array([], pyarrow.string())}), tmp_path / "in.parquet")
    run(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert parquet.read_table(tmp_path / "out.parquet").column_names == ["text", "translation", "translation_error"]


def test_a_column_that_holds_no_text_is_refused_by_its_type(model: Path, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def table(**columns: Any) -> None:
        parquet.write_table(pyarrow.table(columns), tmp_path / "in.parquet")

    for values, kind in (([1, 2], "int64"), ([b"a", b"b"], "binary"), ([["a"], ["b"]], "list<")):
        table(text=values)
        with pytest.raises(DataError, match=f"the column 'text' has the type {kind}.*, not text; .*--field"):
            run(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet"]
    two = pyarrow.array(["ein", "ein"])
    for values in (two.dictionary_encode(), two.cast(pyarrow.large_string()), pyarrow.nulls(2)):
        table(text=values, id=[1, 2])
        outcome = run(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
        assert len(outcome.problems) == (2 if values.null_count else 0)
    table(id=[1, 2])
    with pytest.raises(DataError, match="none of the fields source, src, text, sentence, but 'id'"):
        run(model, tmp_path / "in.parquet", tmp_path / "out.parquet")


def test_a_table_that_changed_before_it_is_written_is_refused(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    file, write = tmp_path / "in.parquet", record_files.write_table
    for rows in (2, 4):
        parquet.write_table(pyarrow.table({"text": ["ein"] * 3}), file)

        def changed(*given: Any, rows: int = rows) -> None:
            parquet.write_table(pyarrow.table({"text": ["ein"] * rows}), file)
            write(*given)

        with monkeypatch.context() as patch:
            patch.setattr(record_files, "write_table", changed)
            with pytest.raises(DataError, match="has other rows than those that were translated"):
                run(model, file, tmp_path / "out.parquet")
        assert not (tmp_path / "out.parquet").exists()
        parquet.write_table(pyarrow.table({"text": ["ein"] * 3}), file)
        run(model, file, tmp_path / "out.parquet")
        assert parquet.read_table(tmp_path / "out.parquet").num_rows == 3
        (tmp_path / "out.parquet").unlink()


def test_a_stop_in_the_middle_does_not_show(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text("".join(json.dumps({"text": f"wort {n % 9}", "n": n}) + "\n" for n in range(200)))
    run(model, file, tmp_path / "whole.jsonl", parts=PartsOptions(chunk_lines=64))
    keep, kept = folder.PartsFolder.keep, []

    def keep_one(*given: Any, **more: Any) -> None:
        if kept:
            raise OSError(28, "No space left on device", "out")
        kept.append(keep(*given, **more))

    with monkeypatch.context() as patch:
        patch.setattr(folder.PartsFolder, "keep", keep_one)
        with pytest.raises(OSError, match="No space"):
            run(model, file, tmp_path / "out.jsonl", parts=PartsOptions(chunk_lines=64))
    assert not (tmp_path / "out.jsonl").exists()
    said: list[str] = []
    run(model, file, tmp_path / "out.jsonl", parts=PartsOptions(chunk_lines=64), say=said.append)
    assert any("continuing: the first 64 of 200" in line for line in said)
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_table_keeps_its_columns_and_row_groups(model: Path, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    texts = ["eins", None, "zwei\u2028\n", "drei", "eins"]
    table = pyarrow.table({"id": pyarrow.array([1, 2, 3, 4, 5], pyarrow.int16()), "src": texts, "tgt": ["old"] * 5})
    file, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
    parquet.write_table(table, file, row_group_size=2, compression="zstd")
    outcome = run(model, file, output)
    found = parquet.read_table(output)
    assert found.drop_columns(["tgt", "tgt_error"]).equals(table.drop_columns(["tgt"]))
    wanted = translated(model, [text for text in texts if text is not None])
    wanted.insert(1, None)  # type: ignore[arg-type]
    assert found["tgt"].to_pylist() == wanted
    assert [error is None for error in found["tgt_error"].to_pylist()] == [True, False, True, True, True]
    assert parquet.ParquetFile(output).metadata.num_row_groups == 3
    assert len(outcome.problems) == 1
    first = output.read_bytes()
    run(model, file, output)
    assert output.read_bytes() == first


def test_what_does_not_fit_is_refused_before_the_work(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text('{"body": "a", "x": 1}\n')
    with pytest.raises(DataError, match=r"none of the fields source, src, text, sentence, but 'body', 'x'; .*--field"):
        run(model, file, tmp_path / "out.jsonl")
    with pytest.raises(DataError, match="no field 'title'"):
        run(model, file, tmp_path / "out.jsonl", field="title")
    with pytest.raises(ConfigError, match="both 'body'"):
        run(model, file, tmp_path / "out.jsonl", field="body", to_field="body")
    with pytest.raises(ConfigError, match=r"file of the same kind; end it with \.jsonl"):
        run(model, file, tmp_path / "out.txt")
    file.write_text("plain\n")
    with pytest.raises(DataError, match="holds no record"):
        run(model, file, tmp_path / "out.jsonl")


def test_input_and_output_may_be_at_addresses(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    memory = fsspec.filesystem("memory")
    memory.pipe("/records/in.jsonl", "".join(f"{line}\n" for line in ODD).encode())
    (tmp_path / "in.jsonl").write_bytes(memory.cat("/records/in.jsonl"))
    run(model, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    output = Path("memory://records/out.jsonl")
    translate_at(translate_records, model, "memory://records/in.jsonl", output=output, options=OPTIONS)
    assert memory.cat("/records/out.jsonl") == (tmp_path / "out.jsonl").read_bytes()
    with pytest.raises(ConfigError, match="is an address"):
        translate_at(
            translate_records,
            model,
            "memory://records/in.jsonl",
            output=output,
            options=OPTIONS,
            parts=PartsOptions(together=9.0),
        )
    memory.rm("/records", recursive=True)


def test_an_output_that_could_not_be_sent_is_only_sent_by_the_same_command(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    memory = fsspec.filesystem("memory")
    file, output = tmp_path / "in.jsonl", Path("memory://sent/out.jsonl")
    file.write_text("".join(f"{line}\n" for line in ODD))

    def refused(*given: Any, **more: Any) -> None:
        raise ConnectionResetError("the other side ended")

    def send() -> None:
        translate_at(translate_records, model, str(file), output=output, options=OPTIONS, say=said.append)

    said: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "put_file", refused)
        with pytest.raises(DataError, match=r"ConnectionResetError.*the same command sends it again"):
            send()
    kept = [path.name for path in (tmp_path / "cache" / "copies").rglob("out.jsonl*")]
    assert sorted(kept) == ["out.jsonl", "out.jsonl.parts"]
    send()
    assert any("continuing: the first 3 of 3 lines" in line for line in said)
    assert memory.cat("/sent/out.jsonl").count(b"\n") == 3
    assert not list((tmp_path / "cache" / "copies").rglob("out.jsonl*"))
    memory.rm("/sent", recursive=True)
