"""From a configuration to the service: read what the folders of its models say, and leave the weights for later.

Read ``running.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path

from pellucid.bundle import find_model_folder, read_description
from pellucid.config.service import ServedModel, ServiceConfig
from pellucid.config.tables import read_toml, validated
from pellucid.durable import can_be_name
from pellucid.errors import ConfigError, counted
from pellucid.jobs.glossaries.reading import glossaries_of
from pellucid.jobs.memories.reading import memories_of
from pellucid.jobs.models import open_translator, settings_for
from pellucid.jobs.options.translation import FOR_PEOPLE
from pellucid.jobs.serve import most_open_files, stamp_of, walkthrough_folder
from pellucid.runtime import threads_for
from pellucid.sample.embedded import DIRECTIONS, direction_of, has_embedded
from pellucid.serving.corrections.journal import Journal
from pellucid.serving.gate import is_loopback
from pellucid.serving.glossaries.stored import Shelf
from pellucid.serving.models.pool import VERSION_DIGITS, ModelPool, ServedPair
from pellucid.serving.service import Service
from pellucid.translation.alignment.heads import heads_in
from pellucid.translation.translator import Translator

__all__ = ["open_service", "read_service_config", "refuse_unguarded", "shows_page"]


def read_service_config(path: Path) -> ServiceConfig:
    """Read the configuration of a service; paths of models start at its folder.

    Raises:
        ConfigError: the file is missing, or a setting is wrong.
    """
    try:
        config = validated(ServiceConfig, read_toml(path), place=str(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    models = tuple(_below(path.parent, model) for model in config.models)
    memories = tuple(one.model_copy(update={"path": str(path.parent / one.path)}) for one in config.memories)
    corrections = str(path.parent / config.corrections) if config.corrections else ""
    glossaries = tuple(
        one.model_copy(update={"path": str(path.parent / one.path)}) if one.path else one for one in config.glossaries
    )
    folder = str(path.parent / config.glossary_folder) if config.glossary_folder else ""
    below = {"models": models, "memories": memories, "corrections": corrections}
    return config.model_copy(update=below | {"glossaries": glossaries, "glossary_folder": folder})


def _below(folder: Path, model: ServedModel) -> ServedModel:
    path = folder / model.path
    is_name = not (can_be_name(path) and path.exists()) and direction_of(Path(model.path)) is not None
    return model if is_name else model.model_copy(update={"path": str(path)})


def refuse_unguarded(config: ServiceConfig) -> None:
    """Refuse to serve other machines without keys, unless the configuration says so.

    Raises:
        ConfigError: the host is not of this machine alone, and there are no keys.
    """
    if not is_loopback(config.host) and not config.keys and not config.insecure_public:
        raise ConfigError(
            f"--host {config.host}: other machines would reach the models without a key; put keys into a file for "
            "--config ('pellucid serve --new-key NAME' makes one), or add --insecure-public"
        )


def open_service(
    config: ServiceConfig,
    paths: Sequence[Path] = (),
    *,
    device: str = "auto",
    threads: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> Service:
    """Make the service of the models of a configuration and of further folders; without any, of the embedded ones.

    Raises:
        BundleError: a folder has no model.
        ConfigError: a setting of a model is wrong, a memory or a glossary may be for several of them, or the folder for
            corrections or glossaries cannot be written.
        DataError: a memory or a file of terms cannot be read.
    """
    number = threads_for(threads)
    config = _with_room_for_refusals(config, say)
    wanted = [*config.models, *(ServedModel(path=str(path)) for path in paths)] or _embedded()
    pairs = [_pair(model, device=device, threads=number, say=say) for model in wanted]
    if config.memories:
        memories = memories_of(config.memories, [(pair.source, pair.target) for pair in pairs], say)
        pairs = [replace(pair, memory=memories.get((pair.source, pair.target))) for pair in pairs]
    pool = ModelPool(pairs, limit_bytes=config.model_memory_mb << 20)
    journal = None
    if config.corrections:
        journal = Journal(Path(config.corrections), limit_bytes=config.corrections_mb << 20)
        journal.make_folder()
    folder = Path(config.glossary_folder) if config.glossary_folder else None
    glossaries = Shelf(glossaries_of(config.glossaries, list(pool.pairs)), folder=folder)
    for one in glossaries.served:
        for each in one.dictionaries:
            say(f"glossary {one.name}: {counted(len(each.terms.terms), 'term')} for {each.source} → {each.target}")
    return Service(pool, config, threads=number, journal=journal, glossaries=glossaries)


def _embedded() -> list[ServedModel]:
    """Return the models that come with pellucid: the embedded translators, or else the model of the walkthrough."""
    names = [*DIRECTIONS] if has_embedded() else [str(walkthrough_folder())]
    return [ServedModel(path=name) for name in names]


def _with_room_for_refusals(config: ServiceConfig, say: Callable[[str], None]) -> ServiceConfig:
    """Lower the number of queued requests where the process may not open as many connections and more."""
    most = max(1, most_open_files() // 4)
    if config.limits.queue_requests <= most:
        return config
    say(f"queue_requests = {most}, because this process may open {most_open_files()} files; raise 'ulimit -n'")
    return config.model_copy(update={"limits": config.limits.model_copy(update={"queue_requests": most})})


def _pair(model: ServedModel, *, device: str, threads: int, say: Callable[[str], None]) -> ServedPair:
    path = Path(model.path)
    settings_for(path, model.settings)  # a wrong setting is refused before the server starts
    folder = find_model_folder(path)
    description = read_description(folder)
    named = direction_of(path) or description
    target = model.target or named.target_language
    opened = partial(_opened, path, (*FOR_PEOPLE, *model.settings), target, device=device, threads=threads, say=say)
    name = path.resolve().name
    return ServedPair(
        name=path.resolve().parent.name if name == "model" else name,
        source=model.source or named.source_language,
        target=target,
        weights_bytes=(folder / description.weights).stat().st_size,
        open=opened,
        version=description.weights_sha256[:VERSION_DIGITS],
        aligns=heads_in(description.facts, description.model, place=f"{folder}/model.toml") is not None,
        stamp=partial(stamp_of, path),
        read_again=partial(_pair, model, device=device, threads=threads, say=say),
    )


def _opened(
    path: Path, settings: Sequence[str], target: str, *, device: str, threads: int, say: Callable[[str], None]
) -> Translator:
    translator = open_translator(path, settings=settings, device=device, threads=threads, say=say)
    return _writing(translator, target).divided(has_prefixes=True)[0]


def _writing(translator: Translator, language: str) -> Translator:
    """Return a translator of the same model into a language, which a model of several languages has to be told."""
    tag, tokenizer = f">>{language}<<", translator.tokenizer
    if tag not in tokenizer.source_tags or tokenizer.default_tag:
        return translator
    other = copy(translator)
    other.tokenizer = tokenizer.with_default_tag(tag)
    return other


def shows_page(config: ServiceConfig) -> bool:
    """Return whether the page is served: it shows everything of the models, and asks for no key.

    Requests that a proxy on this machine passes on come from this machine, too. So keys or names, which are for clients
    elsewhere, turn the page off unless the configuration asks for it.
    """
    if config.insecure_public:
        return config.page is not False
    wanted = config.page if config.page is not None else not config.keys and not config.names
    return wanted and is_loopback(config.host)
