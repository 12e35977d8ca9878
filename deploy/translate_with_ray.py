"""Translate on a Ray cluster: a text file, or a column of Parquet or JSON lines.

    ray submit deploy/ray-cluster.yaml deploy/translate_with_ray.py MODEL INPUT OUTPUT --threads 4

For text, MODEL, INPUT and OUTPUT lie on a file system that all nodes see, and OUTPUT is what one process alone would
write. With --column, INPUT and OUTPUT are folders or buckets, such as s3://BUCKET/news, and rows may change places.
With --id too, a job that was stopped goes on where it was: give the same command again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import ray
import ray.data

from pellucid.jobs.clusters.ray import checkpointed, translate_dataset, translate_file_on_ray
from pellucid.jobs.options.translation import ModelOptions, TranslationOptions


def main() -> None:
    options = parse()
    ray.init(address=options.address)
    if not options.column:
        outcome = translate_file_on_ray(
            options.model,
            options.input,
            Path(options.output),
            workers=options.workers,
            options=TranslationOptions(threads=options.threads),
        )
        print(*outcome.problems, outcome.flag_summary(), sep="\n")
        return
    if not options.id:
        translate_columns(options)
        return
    with checkpointed(f"{options.output.rstrip('/')}.checkpoint", id_column=options.id):
        translate_columns(options)


def translate_columns(options: argparse.Namespace) -> None:
    is_parquet = options.kind == "parquet"
    dataset = ray.data.read_parquet(options.input) if is_parquet else ray.data.read_json(options.input, lines=True)
    translated = translate_dataset(
        dataset,
        options.model,
        column=options.column,
        workers=options.workers or max(1, int(ray.cluster_resources()["CPU"]) // options.threads),
        gpus=options.gpus,
        batch_rows=options.batch_rows,
        part_rows=options.part_rows,
        options=ModelOptions(threads=options.threads),
    )
    translated.write_parquet(options.output) if is_parquet else translated.write_json(options.output)


def place(name: str) -> str:
    """Return an address as it is, and the name of a file as all nodes know it."""
    return name if "://" in name else str(Path(name).absolute())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("input", type=place)
    parser.add_argument("output", type=place)
    parser.add_argument("--column", help="translate this column of a dataset, into a new column `translation`")
    parser.add_argument("--id", help="a column that is different in all rows, by which a stopped job goes on")
    parser.add_argument("--kind", choices=["parquet", "jsonl"], default="parquet", help="what a dataset is stored as")
    parser.add_argument("--workers", type=int, default=0, help="processes; as many as there are processors for")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--gpus", type=float, default=0, help="of each process, for a dataset")
    parser.add_argument("--batch-rows", type=int, default=1024, help="rows of a dataset that are translated together")
    parser.add_argument("--part-rows", type=int, default=8192, help="the most rows of a file of a written dataset")
    parser.add_argument("--address", default="auto", help="of the cluster")
    return parser.parse_args()


if __name__ == "__main__":
    main()
