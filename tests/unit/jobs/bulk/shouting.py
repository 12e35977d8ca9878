"""What runs parts in these tests: a function in place of a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pellucid.jobs.bulk.files import run_files
from pellucid.jobs.bulk.survey import Part, survey_of
from pellucid.jobs.bulk.tally import Tally
from pellucid.jobs.bulk.work import Finished, Work
from pellucid.jobs.line_files import reading
from pellucid.jobs.options.parts import PartsOptions

NUMBERED = b"".join(b"zeile %d\n" % number for number in range(23))


def shout(part: Part, advance: Callable[[int], None] = lambda done: None) -> Finished:
    """Translate into capitals; a line that cannot be read leaves an empty one and a problem."""
    rows, problems = [], []
    for number, (line, *others) in enumerate(part.lines, start=part.first_line):
        advance(len(rows))
        if isinstance(line, ValueError):
            problems.append((number, str(line)))
            rows.append("\n")
        else:
            rows.append(" ".join([line.upper(), *map(str, others)]) + "\n")
    flags = {"blank": rows.count("\n")} if "\n" in rows else {}
    return Finished("".join(rows), Tally(len(rows), len(problems), tuple(problems), flags))


def work(run: Callable[..., Finished] = shout, *, lines: int = 2, at_once: int = 2, **facts: object) -> Work:
    return Work(run, at_once, lines, facts or {"model": "a"})


def run(
    source: Path,
    output: Path,
    some: Work | None = None,
    *,
    restart: bool = False,
    together: float | None = None,
    **more: object,
) -> Tally:
    parts = PartsOptions(restart=restart, together=together)
    return run_files([survey_of(str(source))], output, some or work(), parts=parts, **more)  # type: ignore[arg-type]


def expected(source: Path) -> tuple[str, Tally]:
    with reading(str(source)) as opened:
        whole = shout(Part(1, 1, tuple((line,) for line in opened.lines()), ""))
    return whole.text, whole.tally


def written(folder: Path, content: bytes = NUMBERED) -> tuple[Path, Path]:
    (folder / "in").write_bytes(content)
    return folder / "in", folder / "out"


def fails_at(number: int, error: BaseException) -> Callable[..., Finished]:
    def run_part(part: Part, advance: Callable[[int], None]) -> Finished:
        if part.number == number:
            raise error
        return shout(part, advance)

    return run_part
