"""The documents tell the truth: snippets run, commands exist, recipes load, links and trees lead somewhere.

A python block that cannot run here carries the reason in a comment right before it:

    <!-- not run: needs a trained model -->

Blocks of one page run in order and share their names, in a folder that holds an untrained model
at ``runs/de-en`` and ``runs/demo`` and a few lines of text in ``text.de`` and ``text.en``.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [page for page in [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))] if page.is_file()]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))
NOT_RUN = re.compile(r"<!--\s*not run:\s*(?P<reason>.*?)\s*-->")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
TREE_ENTRY = re.compile(r"^(?P<indent>[\s│├└─|`-]*)(?P<name>[\w.*-]+(?:/[\w.*-]+)*/?)(?=\s|$)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; ``line`` is where its fence stands, counted from 1."""

    page: Path
    line: int
    language: str
    text: str
    not_run: str | None

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").split("\n")
    number = 0
    before = ""
    while number < len(lines):
        fence = re.match(r"^\s*(`{3,}|~{3,})\s*(\w*)", lines[number])
        if fence is None:
            before = lines[number] if lines[number].strip() else before
            number += 1
            continue
        start = number
        number += 1
        while number < len(lines) and not lines[number].strip().startswith(fence[1]):
            number += 1
        marked = NOT_RUN.search(before)
        text = "\n".join(lines[start + 1 : number])
        yield Block(page, start + 1, fence[2].lower(), text, marked["reason"] if marked else None)
        before = ""
        number += 1


def prose(page: Path) -> str:
    """Return a page without its fenced blocks and code spans."""
    text = re.sub(r"^\s*(`{3,}|~{3,}).*?^\s*\1", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    return re.sub(r"`[^`\n]*`", "", text)


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder that the snippets run in."""
    from tests.models import random_model, save_model  # here, because tests/test_lint.py copies this file alone

    folder = tmp_path_factory.mktemp("documents")
    model = random_model(seed=1, num_encoder_layers=2, max_positions=1024)
    for run, source, target in (("de-en", "de", "en"), ("demo", "en", "fr")):
        place = folder / "runs" / run / "model"
        save_model(place, model, card="An untrained model.\n", source_language=source, target_language=target)
    (folder / "text.de").write_text("Ein Hund rennt.\nEine Katze schläft.\n", encoding="utf-8")
    (folder / "text.en").write_text("A dog runs.\nA cat sleeps.\n", encoding="utf-8")
    return folder


def pages_with_python() -> list[Path]:
    return [page for page in PAGES if any(block.language == "python" for block in blocks(page))]


@pytest.mark.parametrize("page", pages_with_python(), ids=page_id)
def test_python_snippets_run(page: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, object] = {"__name__": "snippet"}
    for block in blocks(page):
        if block.language == "python" and block.not_run is None:
            monkeypatch.chdir(request.getfixturevalue("workplace"))
            # the page's own line numbers in a traceback
            exec(compile("\n" * block.line + block.text, block.place, "exec"), names)


def test_snippets_that_do_not_run_say_why() -> None:
    silent = [b.place for page in PAGES for b in blocks(page) if b.not_run is not None and len(b.not_run.split()) < 2]
    assert not silent, "give the reason: <!-- not run: needs a trained model -->"


def commands(program: str) -> Iterator[tuple[Block, list[str]]]:
    """Yield the words of every documented call of a program, prompts and continuation lines undone."""
    for page in PAGES:
        for block in blocks(page):
            if block.language not in {"bash", "sh", "shell", "console"}:
                continue
            for line in block.text.replace("\\\n", " ").split("\n"):
                for part in re.split(r"\s(?:\||&&|;)\s", re.sub(r"^\s*\$\s+", "", line)):
                    words = [word for word in shlex.split(part, comments=True) if not re.fullmatch(r"[A-Z_]+=.*", word)]
                    if words and words[0].removeprefix(".venv/bin/") == program:
                        yield block, words[1:]


def parse_command(words: list[str]) -> None:
    """Parse a command line as ``pellucid`` would, and run nothing."""
    import typer

    from pellucid.cli.main import app

    group = typer.main.get_command(app)
    # A redirection belongs to the shell.
    kept = [word for number, word in enumerate(words) if word not in {"<", ">"} and words[number - 1] not in {"<", ">"}]
    if kept in ([], ["--help"], ["--version"]):
        return
    context = group.make_context("pellucid", [kept[0]], resilient_parsing=True)
    _, verb, _ = group.resolve_command(context, [kept[0]])  # type: ignore[attr-defined]
    if "--help" not in kept:
        verb.make_context(kept[0], kept[1:], parent=context)


def test_documented_commands_parse() -> None:
    offences = []
    for block, words in commands("pellucid"):
        try:
            parse_command(words)
        except Exception as error:
            offences.append(f"{block.place}: pellucid {shlex.join(words)}: {getattr(error, 'message', error)}")
    assert not offences


def test_the_page_of_settings_is_todays() -> None:
    page = ROOT / "docs" / "reference" / "settings.md"
    if not page.is_file():
        pytest.skip("the page is not written yet")
    from pellucid.config.reference import settings_reference

    command = "python -m pellucid.config.reference > docs/reference/settings.md"
    assert page.read_text(encoding="utf-8").strip() == settings_reference().strip(), command


CONTRACT = [
    "demo --minutes 3 --seed 7",
    "train --recipe R.toml --data-dir D --output RUN --minutes 5 --init-from MODEL --set training.seed=7 --dry-run",
    "train --train-src A --train-tgt B --valid-src C --valid-tgt D --src-lang x --tgt-lang y --preset small --output R",
    "translate MODEL FILE --output F --beam-size 5 --n-best 1 --format jsonl",
    "translate MODEL -",
    "translate MODEL",
    "score MODEL --src F --tgt F",
    "evaluate MODEL --src F --ref F --against MODEL2 --json F",
    "average RUN --output F",
    "serve",
    "serve MODEL RUN --host 127.0.0.1 --port 8642 --open --trace-memory-mb 256",
    "demo --serve",
]


@pytest.mark.parametrize("line", CONTRACT)
def test_the_promised_commands_parse(line: str) -> None:
    parse_command(shlex.split(line))


def test_an_unknown_option_is_noticed() -> None:
    with pytest.raises(Exception, match="--beem-size"):
        parse_command(["translate", "MODEL", "--beem-size", "5"])


def test_documented_make_targets_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M))
    for block, words in commands("make"):
        wanted = {word for word in words if "=" not in word and not word.startswith("-")}
        assert wanted <= targets, block.place


@pytest.mark.parametrize("recipe", RECIPES, ids=page_id)
def test_recipes_load_and_say_what_to_expect(recipe: Path) -> None:
    from pellucid.config import load_recipe

    loaded = load_recipe(recipe)
    assert loaded.data.train, "a recipe names its training data"
    assert loaded.promise, "a recipe promises something, or says in [promise] that nothing was measured"
    assert recipe.read_text(encoding="utf-8").startswith("# "), "a comment at the top says what the recipe is for"
    assert "\n# Data: " in recipe.read_text(encoding="utf-8"), "a comment says where the text comes from"
    command = shlex.split(loaded.promise.command)
    assert command[0] == "pellucid"
    assert page_id(recipe) in command, "the command names another recipe"
    parse_command(command[1:])


@pytest.mark.parametrize("recipe", RECIPES, ids=page_id)
def test_promised_figures_are_in_the_log(recipe: Path) -> None:
    from pellucid.config import load_recipe

    promise = load_recipe(recipe).promise
    assert promise is not None
    if not promise.origin:
        assert promise.not_measured, "scores need an origin"
        return
    page, _, title = promise.origin.partition(", ")
    text = (ROOT / page).read_text(encoding="utf-8")
    entry = text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert entry, f"{page} has no entry {title!r}"
    for score in promise.scores:
        assert f"{score.value:g}" in entry or f"{score.value:g}" in promise.note, f"{score.metric} is not in the entry"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the usual hosts make them."""
    found = set()
    for heading in re.findall(r"^#+\s+(.*?)\s*#*$", page.read_text(encoding="utf-8"), flags=re.M):
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    offences = []
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or not target.is_relative_to(ROOT):
            offences.append(link)
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            offences.append(f"{link}: no such heading")
    assert not offences


def test_every_page_is_reached() -> None:
    if not (ROOT / "docs" / "README.md").is_file():
        pytest.skip("docs/README.md is not written yet")
    linked = {(p.parent / link.partition("#")[0]).resolve() for p in PAGES for link in LINK.findall(prose(p))}
    lost = [page_id(page) for page in PAGES if page.name != "README.md" and page.resolve() not in linked]
    assert not lost, "no page links to these"


def drawn_tree() -> list[tuple[int, str]]:
    """Return indentation and name of the entries of the tree in the README."""
    for block in blocks(README):
        if re.search(r"^\W*src/pellucid/", block.text, flags=re.M):
            matches = (TREE_ENTRY.match(line) for line in block.text.split("\n"))
            return [(len(m["indent"]), m["name"]) for m in matches if m]
    return []


def test_the_tree_in_the_readme_is_the_tree_on_disk() -> None:
    entries = drawn_tree()
    if not entries:
        pytest.skip("the README draws no tree yet")
    folders: list[tuple[int, Path]] = []
    missing = []
    drawn = set()
    for indent, name in entries:
        while folders and folders[-1][0] >= indent:
            folders.pop()
        parent = folders[-1][1] if folders else ROOT
        path = parent / name
        if "*" in name:
            missing += [] if list(parent.glob(name)) else [str(path.relative_to(ROOT))]
            continue
        if not path.exists():
            missing.append(str(path.relative_to(ROOT)))
        drawn.add(path)
        if name.endswith("/"):
            folders.append((indent, path))
    assert not missing
    package = ROOT / "src" / "pellucid"
    rooms = {path for path in package.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert not sorted(str(room.relative_to(ROOT)) for room in rooms - drawn), "rooms that the tree does not show"
