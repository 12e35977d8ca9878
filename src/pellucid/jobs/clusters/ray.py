"""Translate on a Ray cluster: a text file by processes that work together, or a column of a dataset.

Ray is an extra, ``pellucid[ray]``. A text file keeps the order of its lines and survives any kill by the parts beside
its output (``../bulk/together.py``); Ray only starts the processes. A dataset goes through Ray Data, from any reader to
any writer, and its rows may change places. Read ``../bulk/repeats.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pellucid.errors import ConfigError
from pellucid.jobs.bulk.lines import OutputFormat
from pellucid.jobs.bulk.repeats import Repeats
from pellucid.jobs.options.parts import PATIENCE_SECONDS, PartsOptions
from pellucid.jobs.options.translation import ModelOptions, TranslationOptions
from pellucid.jobs.translate import FileOutcome, translate_file

if TYPE_CHECKING:
    import pyarrow
    from ray.data import Dataset

__all__ = ["checkpointed", "translate_dataset", "translate_file_on_ray"]

_BATCH_ROWS: Final = 1024
_PART_ROWS: Final = 8192
_ENDS_OF_A_BATCH: Final = 3
"""So often a batch is tried again after its process ended; a row that ends every process must not do so for ever."""


def translate_file_on_ray(
    model: Path,
    file: str,
    output: Path,
    *,
    workers: int = 0,
    format: OutputFormat = OutputFormat.TEXT,
    prefix_file: str | None = None,
    options: TranslationOptions = TranslationOptions(),
    parts: PartsOptions = PartsOptions(),
) -> FileOutcome:
    """Translate a file by processes on all nodes; the output is that of one process, byte for byte.

    Model, file and output lie on a file system that all nodes see, under the same names. A call that was stopped goes
    on where it was. A node that ends costs the parts that it was at.

    Args:
        model: a model folder.
        file: lines of text.
        output: gets the translations.
        workers: number of processes; 0 stands for as many as the processors of the cluster allow now.
        format: of the output.
        prefix_file: as of ``translate_file``.
        options: of a process, which reserves as many processors as it has threads; 0 threads stand for 1.
        parts: of the file, which processes always translate together.

    Raises:
        ConfigError: Ray is missing, or no cluster is connected, or an option is wrong.
        PellucidError: as ``translate_file``.
    """
    ray = _ray()
    threads = options.threads or 1
    count = workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
    # A path that is relative to the folder of the driver would be another one on the nodes.
    run = partial(
        translate_file,
        model.absolute(),
        str(Path(file).absolute()),
        output=output.absolute(),
        format=format,
        prefix_file=prefix_file,
        options=replace(options, threads=threads),
        parts=replace(parts, together=PATIENCE_SECONDS if parts.together is None else parts.together),
    )
    task = ray.remote(num_cpus=threads, max_retries=-1, scheduling_strategy="SPREAD")(_run)
    pending = [task.remote(run) for _ in range(count)]
    try:
        outcomes: list[FileOutcome] = ray.get(pending)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    return outcomes[0]


def _run(run: Callable[[], FileOutcome]) -> FileOutcome:
    return run()


def translate_dataset(
    dataset: Dataset,
    model: Path,
    *,
    column: str,
    into: str = "translation",
    workers: int | tuple[int, int] = 1,
    gpus: float = 0,
    batch_rows: int = _BATCH_ROWS,
    part_rows: int = _PART_ROWS,
    options: ModelOptions = ModelOptions(),
) -> Dataset:
    """Return a dataset with two columns more: the translation of a column, and ``INTO_error``, null where all is well.

    Nothing runs until the dataset is written. Each actor opens the model once. A text that comes again is translated
    once in a batch; a null stays null.

    Args:
        dataset: of Ray Data.
        model: a model folder, under this name on every node.
        column: of texts.
        into: name of the new column.
        workers: number of actors, or the fewest and the most.
        gpus: that an actor reserves; with more than 0 it computes there.
        batch_rows: rows that are translated together.
        part_rows: the most rows that an actor is given at once and that a written file has. What was under way when a
            run is stopped is lost, and an actor for which no part is left does nothing.
        options: of an actor, which reserves as many processors as it has threads; 0 threads stand for 1, and on the
            device ``auto`` it computes on a GPU if it reserves one.

    Raises:
        ConfigError: Ray is missing.
    """
    from_ray = _ray(needs_data=True).data
    fewest, most = (workers, workers) if isinstance(workers, int) else workers
    threads = options.threads or 1
    device = options.device if options.device != "auto" else "cuda" if gpus else "cpu"
    # Ray cuts by bytes: a million sentences are one block of its size, for one actor, in one file.
    translated: Dataset = dataset.repartition(target_num_rows_per_block=part_rows).map_batches(
        _Translations,
        fn_constructor_kwargs={
            "model": model.absolute(),
            "column": column,
            "into": into,
            "options": replace(options, threads=threads, device=device),
        },
        batch_size=batch_rows,
        batch_format="pyarrow",
        compute=from_ray.ActorPoolStrategy(min_size=fewest, max_size=most),
        num_cpus=threads,
        num_gpus=gpus,
        udf_modifying_row_count=False,
        max_restarts=-1,
        max_task_retries=_ENDS_OF_A_BATCH,
    )
    return translated


@contextmanager
def checkpointed(folder: str, *, id_column: str) -> Iterator[None]:
    """Read, translate and write a dataset in this block, so that the same block after a stop does only what is left.

    The folder, on a file system or in a bucket that all nodes see, gets the ids of the rows that are written. Every row
    must have an id that no other row has. Ray removes the folder at the end.

    Raises:
        ConfigError: Ray is missing.
    """
    from_ray = _ray(needs_data=True).data
    if "://" not in folder:
        folder = str(Path(folder).absolute())
    context = from_ray.DataContext.get_current()
    before = context.checkpoint_config
    context.checkpoint_config = from_ray.checkpoint.CheckpointConfig(id_column, folder)
    try:
        yield
    finally:
        context.checkpoint_config = before


class _Translations:
    """An actor with an open model, for the batches of a dataset."""

    def __init__(self, *, model: Path, column: str, into: str, options: ModelOptions) -> None:
        self._column = column
        self._into = into
        self._translator = options.open(model)
        self._repeats = Repeats(keeps=False)

    def __call__(self, batch: pyarrow.Table) -> pyarrow.Table:
        """Return the batch with the columns of the translations and errors."""
        import pyarrow

        if self._column not in batch.column_names:
            raise ConfigError(f"the dataset has no column {self._column!r}; it has {', '.join(batch.column_names)}")
        texts = batch.column(self._column).to_pylist()
        if strange := next((text for text in texts if not isinstance(text, str | None)), None):
            raise ConfigError(f"the column {self._column!r} holds {strange!r}; name a column of texts")
        whole = [text for text in texts if text is not None]
        stream = self._repeats.translate_stream(
            self._translator, whole, None, chunk=max(1, len(whole)), progress=lambda done: None
        )
        found = [None if text is None else next(stream) for text in texts]
        translations = [None if one is None else one.text for one in found]
        errors = [None if one is None else one.error for one in found]
        for name, values in ((self._into, translations), (f"{self._into}_error", errors)):
            batch = batch.append_column(name, pyarrow.array(values, type=pyarrow.string()))
        return batch


def _ray(*, needs_data: bool = False) -> Any:
    try:
        import ray

        if needs_data:
            import ray.data
            import ray.data.checkpoint
    except ImportError as error:
        raise ConfigError(
            f"translation on a Ray cluster needs the package ray, which cannot be imported here ({error}); "
            "pip install 'pellucid[ray]'"
        ) from None
    if not ray.is_initialized():
        raise ConfigError('no Ray cluster is connected; call ray.init() first, with address="auto" on a node of one')
    return ray
