"""The rules of the house, read off the source itself.

What is checked here needs no taste. Each test lists every offence with its place, so that one run shows them all.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "pellucid"

# A room imports only from lower floors.
FLOORS = {
    **dict.fromkeys(("errors", "version", "config", "runtime", "signals", "durable", "terminal", "weights_file"), 0),
    **dict.fromkeys(("untrusted", "npz_file", "sample", "compiled"), 0),
    "text": 1,
    "model": 1,
    "model_weights": 2,
    "bundle": 2,
    "training": 3,
    "translation": 3,
    "interop": 4,
    "evaluation": 4,
    "tracing": 4,
    "analysis": 4,
    "documents": 4,
    "figures": 4,
    "page": 5,
    "web": 4,
    "serving": 5,
    "jobs": 6,
    "cli": 7,
    "__main__": 8,
}
# Within a floor rooms are strangers, except along these arrows.
ARROWS = {
    ("config", "errors"),
    ("config", "untrusted"),
    ("weights_file", "untrusted"),
    ("untrusted", "errors"),
    ("npz_file", "errors"),
    ("npz_file", "untrusted"),
    ("runtime", "errors"),
    ("durable", "errors"),
    ("signals", "errors"),
    ("weights_file", "errors"),
    ("sample", "errors"),
    ("compiled", "durable"),
    ("compiled", "errors"),
    ("bundle", "model_weights"),
    ("analysis", "tracing"),
    ("figures", "tracing"),
    ("figures", "analysis"),
    ("serving", "page"),
}
# Rooms whose package is the address of their names; elsewhere the leaf module is named.
PACKAGES_WITH_A_SURFACE = {"pellucid.config"}

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_MODULES = 18
MIN_ROOM_LINES = 3
# Folders of files that others wrote: what the page ships, environments of the benchmarks, packages from npm.
NOT_OURS = frozenset({"vendor", ".environments", "node_modules"})
JUNK_DRAWERS = {"util", "utils", "helper", "helpers", "common", "misc", "stuff"}
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# Brackets around a character keep a pattern from matching itself.
FOREIGN_TO_A_PUBLIC_REPOSITORY = re.compile(
    r"(?<![\w.])/work[/]|"
    r"(?<![\w.])/root[/]|"
    r"(?<![\w.])/home[/]\w|"
    r"(?<![\w.])/Users[/]\w|"
    r"(?<![\w.])/opt[/]\w|"
    r"pypi[.]org|"
    r"pythonhosted[.]org|"
    r"download[.]pytorch[.]org|"
    r"registry[.]npmjs|"
    r"index[-]url"
)


def ours(folder: Path, *kinds: str) -> list[Path]:
    """The paths under ``folder`` that we wrote, or only those whose names end in one of ``kinds``."""
    paths = (path for path in folder.rglob("*") if not kinds or path.suffix in kinds)
    return sorted(path for path in paths if NOT_OURS.isdisjoint(path.parts))


def place(path: Path, node: ast.AST | None = None) -> str:
    return f"{path.relative_to(ROOT)}" + (f":{getattr(node, 'lineno', 0)}" if node else "")


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in ours(PACKAGE, ".py")}
trees = cache(lambda: {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES.values()})
LOOKED_AT = (ast.stmt, ast.Call, ast.Attribute, ast.keyword)
nodes = cache(lambda: {path: [n for n in ast.walk(tree) if isinstance(n, LOOKED_AT)] for path, tree in trees().items()})


def imported_modules(node: ast.AST, path: Path) -> Iterator[str]:
    """Name the modules of this package that one statement imports, submodules rather than packages."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "pellucid")
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = module_name(path).split(".")
            package = package if path.name == "__init__.py" else package[:-1]
            package = package[: len(package) - node.level + 1]
            base = ".".join([*package, *([base] if base else [])])
        if base.split(".")[0] == "pellucid":
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                yield submodule if submodule in MODULES else base


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def may_import(room: str, other: str) -> bool:
    if room == other:
        return True
    return FLOORS[other] < FLOORS[room] or (room, other) in ARROWS


def test_every_room_stands_on_a_floor() -> None:
    rooms = {room_of(module) for module in MODULES} - {""}
    assert rooms <= set(FLOORS), "name the floor of a new room in the table of this test and in the README's tree"


def test_rooms_import_only_from_lower_floors() -> None:
    offences = []
    for path, found in nodes().items():
        room = room_of(module_name(path))
        if room not in FLOORS:  # the public surface looks at everything, lazily
            continue
        for node in found:
            for module in imported_modules(node, path):
                other = room_of(module)
                if not other:
                    offences.append(f"{place(path, node)}: imports the public surface; name the module that has it")
                elif other in FLOORS and not may_import(room, other):
                    offences.append(f"{place(path, node)}: {room} (F{FLOORS[room]}) imports {other} (F{FLOORS[other]})")
    assert not offences


def test_leaf_modules_are_imported() -> None:
    offences = []
    for path, found in nodes().items():
        if path == PACKAGE / "__init__.py":
            continue
        for node in found:
            for module in imported_modules(node, path):
                is_package = module in MODULES and MODULES[module].name == "__init__.py"
                inside = module_name(path).startswith(f"{module}.")
                if is_package and (inside or module not in PACKAGES_WITH_A_SURFACE):
                    offences.append(f"{place(path, node)}: imports the package {module}; name the module inside")
    assert not offences


def test_no_import_cycles() -> None:
    # Imports inside functions and for type checkers count: a circle hidden in them still ties the files together.
    graph = {
        module_name(path): {
            module for node in found for module in imported_modules(node, path) if module != module_name(path)
        }
        for path, found in nodes().items()
    }
    finished: set[str] = set()

    def cycle_from(module: str, trail: tuple[str, ...]) -> tuple[str, ...]:
        if module in trail:
            return (*trail[trail.index(module) :], module)
        if module in finished or module not in graph:
            return ()
        for other in sorted(graph[module]):
            if found := cycle_from(other, (*trail, module)):
                return found
        finished.add(module)
        return ()

    for module in graph:
        assert not cycle_from(module, ())


def test_files_are_short() -> None:
    kinds = (".py", ".js", ".mjs", ".css")
    files = [path for folder in (PACKAGE, ROOT / "tests", ROOT / "benchmarks") for path in ours(folder, *kinds)]
    counts = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    offences = [f"{place(path)}: {lines} lines" for path, lines in counts.items() if lines > MAX_FILE_LINES]
    assert not offences, f"at most {MAX_FILE_LINES} lines a file: cut where the ideas part"


def test_folders_are_small() -> None:
    modules = (path for path in ours(PACKAGE, ".py", ".js") if path.name != "__init__.py")
    counts = Counter(path.parent for path in modules)
    offences = [f"{place(folder)}: {count} modules" for folder, count in counts.items() if count > MAX_MODULES]
    assert not offences, f"at most {MAX_MODULES} modules a folder: part it where the ideas part"


def test_rooms_say_what_lives_in_them() -> None:
    short = []
    for path, tree in trees().items():
        if path.name == "__init__.py" and path.parent != PACKAGE and len(list(path.parent.glob("*.py"))) > 1:
            lines = [line for line in (ast.get_docstring(tree) or "").splitlines() if line.strip()]
            if len(lines) < MIN_ROOM_LINES:
                short.append(f"{place(path)}: {len(lines)} lines")
    assert not short, f"say in {MIN_ROOM_LINES} lines what lives in the room and what may not"


def test_functions_are_short() -> None:
    offences = []
    for path, found in nodes().items():
        for node in found:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                lines = node.end_lineno - node.lineno + 1
                offences += [f"{place(path, node)}: {node.name}: {lines} lines"] if lines > MAX_FUNCTION_LINES else []
    assert not offences, f"at most {MAX_FUNCTION_LINES} lines a function"


def public_definitions(
    node: ast.Module | ast.ClassDef,
) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for child in node.body:
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or child.name.startswith("_"):
            continue
        decorators = " ".join(ast.unparse(decorator) for decorator in child.decorator_list)
        if "overload" in decorators or "override" in decorators or ".setter" in decorators:
            continue
        yield child
        if isinstance(child, ast.ClassDef):
            yield from public_definitions(child)


def test_what_is_public_has_a_docstring() -> None:
    offences = []
    for path, tree in trees().items():
        if not ast.get_docstring(tree):
            offences.append(f"{place(path)}: the module")
        offences += [
            f"{place(path, node)}: {node.name}" for node in public_definitions(tree) if not ast.get_docstring(node)
        ]
    assert not offences


def called_name(node: ast.AST) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


CONSOLE = PACKAGE / "cli" / "console.py"
# Who else may name a standard stream, and why.
HANDLES_A_STREAM = {
    "cli/main.py": "sets the encoding, flushes, and lets go of a pipe whose reader has left",
    "jobs/line_files.py": "hands out the stream for translations, through terminal.shown_on",
    "text/sentencepiece/child.py": "answers its parent process through a pipe",
    "text/storing/child.py": "answers its parent process through a pipe",
    "translation/engines/ctranslate2/worker.py": "answers its parent process through a pipe",
    "config/reference.py": "writes a page of the documents when it is run by itself",
}
WRITERS = {"print", "rich.print", "rich.print_json", "typer.echo", "typer.secho", "click.echo", "click.secho", "input"}
DRAWS_BY_ITSELF = {
    "rich",
    "click",
    "rich.console.Console",
    "rich.progress.Progress",
    "rich.progress.track",
    "rich.live",
}
STREAMS = {"sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"}


def test_one_place_writes_to_the_terminal() -> None:
    offences = []
    for path, found in nodes().items():
        may_name_streams = path.relative_to(PACKAGE).as_posix() in HANDLES_A_STREAM
        for node in found if path != CONSOLE else ():
            names = set()
            if isinstance(node, ast.Attribute) and not may_name_streams:
                names = {ast.unparse(node)} & STREAMS
            elif isinstance(node, ast.Call):
                names = {called_name(node)} & WRITERS
            elif isinstance(node, ast.Import):
                names = {alias.name for alias in node.names} & {*DRAWS_BY_ITSELF}
            elif isinstance(node, ast.ImportFrom):
                names = {f"{node.module}.{alias.name}" for alias in node.names} & (STREAMS | WRITERS | DRAWS_BY_ITSELF)
            offences += [f"{place(path, node)}: {name}" for name in sorted(names)]
    assert not offences, "write through cli/console.py, which spells control characters out"


def test_nothing_is_asserted() -> None:
    # python -O drops assert statements, and an AssertionError tells a user nothing.
    assert not [place(path, n) for path, found in nodes().items() for n in found if isinstance(n, ast.Assert)]


def test_nothing_that_is_read_can_execute() -> None:
    offences = []
    for path, found in nodes().items():
        for node in found:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name.split(".")[0] in PICKLES for name in names):
                offences.append(f"{place(path, node)}: {ast.unparse(node)}")
            if called_name(node) in {"torch.load", "torch.save", "eval", "exec", "yaml.load"}:
                offences.append(f"{place(path, node)}: {called_name(node)}")
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
                offences.append(f"{place(path, node.value)}: allow_pickle")
    assert not offences


def test_no_junk_drawers() -> None:
    folders = [PACKAGE, ROOT / "tests", ROOT / "benchmarks"]
    assert not [place(path) for folder in folders for path in ours(folder) if path.stem.lower() in JUNK_DRAWERS]


def modules_loaded_by(*modules: str) -> set[str]:
    """Import in a fresh interpreter; return the names of the top-level modules that came along."""
    code = f"import sys, json, {', '.join(modules)}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in json.loads(done.stdout)}


HEAVY = {"torch", "numpy", "sentencepiece", "sacrebleu", "safetensors", "transformers", "rich", "typer"}


def test_importing_pellucid_loads_nothing() -> None:
    bare = modules_loaded_by("builtins")
    extra = modules_loaded_by("pellucid") - bare - {"pellucid"}
    assert extra <= sys.stdlib_module_names


def test_importing_the_settings_loads_no_heavy_library() -> None:
    assert not modules_loaded_by("pellucid.config", "pellucid.errors", "pellucid.runtime") & HEAVY


@pytest.mark.parametrize(
    ("room", "stranger"),
    [
        ("sample", "torch"),
        ("text", "torch"),
        ("text", "lxml"),
        ("text", "polib"),
        ("text", "pyarrow"),
        ("evaluation", "torch"),
        ("evaluation", "sacrebleu"),
        ("cli", "torch"),
    ],
)
def test_a_room_is_entered_without(room: str, stranger: str) -> None:
    modules = [module for module in MODULES if room_of(module) == room]
    if not modules:
        pytest.skip(f"{room} is not built yet")
    assert stranger not in modules_loaded_by(*modules)


def tracked_files() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout: what belongs to the repository is not known")
    return [path for name in done.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_names_a_machine() -> None:
    offences = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.split("\n"), start=1):
            if found := FOREIGN_TO_A_PUBLIC_REPOSITORY.search(line):
                offences.append(f"{path.relative_to(ROOT)}:{number}: {found[0]}")
    assert not offences
