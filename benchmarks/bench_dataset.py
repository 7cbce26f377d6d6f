# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The cost of writing a record to a data set and of reading it: `OMP_NUM_THREADS=1 python -m benchmarks.bench_dataset`.

CPU milliseconds per record in one process, and the records per second and core that follow from them; wall time depends on the load
of the machine. Encodings are compared on the same signals, readers on the same files.
"""

import argparse
import io
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import load_dataset

from processing.guider.guider import DiagnosisGuider
from recipes.dataset.build import build_dataset
from recipes.dataset.plan import make_plan
from recipes.dataset.schema import decode, schema, stream, to_counts, with_transform
from recipes.dataset.settings import BuildSettings, settings_from
from recipes.dataset.shards import to_row, to_table, write_parquet
from recipes.dataset.stages import Batch, answer, measure
from recipes.sources.statements import in_words

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
RECORDS_OF_MIMIC = 800_035


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ptbxl", default=str(SHARED / "data/ptbxl"), help="PTB-XL, its folder or Parquet files")
    parser.add_argument("--records", type=int, default=200, help="how many (default: 200)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_from(
            {
                "output": f"{folder}/data",
                "sources": [{"format": "ptb-xl", "path": options.ptbxl, "limit": options.records}],
                "split": {"method": "hash", "fractions": {"train": 1.0}},
            }
        )
        costs, batch = stages(settings)
        encodings(batch)
        result = build_dataset(settings)
        size = sum(path.stat().st_size for path in result.folder.rglob("*.parquet"))
        print(
            f"\n{result.rows} rows, {result.rejected} rejected, {size / result.rows:,.0f} bytes per record in the files"
        )
        readers(result.folder)
        hours = RECORDS_OF_MIMIC * sum(costs.values()) / 3.6e6
        print(
            f"\n{RECORDS_OF_MIMIC:,} records (MIMIC-IV-ECG) at {sum(costs.values()):.1f} ms: {hours:.1f} core hours, "
            f"{hours / 64 * 60:.0f} min on 64 cores; {RECORDS_OF_MIMIC * size / result.rows / 1e9:.0f} GB"
        )


def cpu_ms(work: Callable[[], object], count: int) -> float:
    started = time.process_time()
    work()
    return 1000 * (time.process_time() - started) / count


def report(label: str, milliseconds: float, note: str = "") -> None:
    print(f"{label:44s} {milliseconds:9.3f} ms {1000 / max(milliseconds, 1e-9):10,.0f} /s/core  {note}".rstrip())


def stages(settings: BuildSettings) -> tuple[dict[str, float], Batch]:
    """Cost of each stage in ms per record, of those that every build runs; and what they made."""
    started = time.process_time()
    plan = make_plan(settings)
    records = [record for shard in plan.shards for record in shard.records]
    count = len(records)
    costs = {"list": 1000 * (time.process_time() - started) / count}
    print(f"{count} records of PTB-XL, CPU time\n")
    report("list (tables, splits, shards)", costs["list"])
    measure(records[:3], settings)
    batch = answer(measure(records, settings), settings)
    for stage, label in (
        ("import", "import (read, check, lead order)"),
        ("features", "features"),
        ("teach", "template teacher and its checks"),
    ):
        costs[stage] = 1000 * batch.spent[stage] / count
        report(label, costs[stage])
    drafts = batch.drafts
    guider = DiagnosisGuider()
    asked = [(d.features, d.entry.report, [in_words(code, "scp") for code in d.entry.labels]) for d in drafts]
    prompts = cpu_ms(lambda: [guider(*request) for request in asked], len(asked))
    report("prompt for a language model", prompts, "instead of the template")
    some = drafts[:50]
    style = settings.page.style
    report(
        "page, 336 px", cpu_ms(lambda: [style.draw(d.records[0]) for d in some], len(some)), "only with --with-images"
    )
    pages = [style.draw(d.records[0]) for d in some]
    report("  as PNG", cpu_ms(lambda: [page.save(io.BytesIO(), "PNG") for page in pages], len(some)))
    shard = plan.shards[0]
    table = to_table([to_row(draft, shard, settings) for draft in drafts], schema())
    costs["write"] = cpu_ms(lambda: [to_row(draft, shard, settings) for draft in drafts], len(drafts)) + cpu_ms(
        lambda: write_parquet(table, io.BytesIO()), len(drafts)
    )
    report("write (counts, JSON, Parquet, zstd)", costs["write"])
    report("all of these without pictures", sum(costs.values()))
    return costs, batch


def encodings(batch: Batch) -> None:
    """Bytes and speed of ways to store the same signals; ours first."""
    signals = [to_counts(draft.records[0].signal)[0] for draft in batch.drafts]
    floats = [draft.records[0].signal for draft in batch.drafts]
    print("\nsignal alone".ljust(45) + "bytes/record   write ms    read ms")
    for label, arrays, options in (
        ("int16, delta + zstd 3 (ours)", signals, {"column_encoding": {"s.list.element.list.element": "DELTA_BINARY_PACKED"}, "use_dictionary": False}),
        ("int16, byte stream split + zstd 3", signals, {"column_encoding": {"s.list.element.list.element": "BYTE_STREAM_SPLIT"}, "use_dictionary": False}),
        ("int16, zstd 3", signals, {}),
        ("int16, snappy (the default)", signals, {"compression": "snappy", "compression_level": None}),
        ("float32, zstd 3", floats, {}),
    ):  # fmt: skip
        settings = {"compression": "zstd", "compression_level": 3, "row_group_size": 64} | options
        inner = pa.ListArray.from_arrays(
            np.arange(0, 12 * len(arrays) + 1, dtype=np.int32) * arrays[0].shape[1],
            pa.array(np.concatenate([a.ravel() for a in arrays])),
        )
        table = pa.table({"s": pa.ListArray.from_arrays(np.arange(0, len(arrays) + 1, dtype=np.int32) * 12, inner)})
        buffer = io.BytesIO()
        write = cpu_ms(lambda: pq.write_table(table, buffer, **settings), len(arrays))  # noqa: B023
        read = cpu_ms(lambda: pq.read_table(io.BytesIO(buffer.getvalue()), use_threads=False), len(arrays))  # noqa: B023
        print(f"{label:44s} {len(buffer.getvalue()) / len(arrays):12,.0f} {write:10.3f} {read:10.3f}")


def readers(folder: Path) -> None:
    """The same rows, read in every way."""
    print()
    data = load_dataset(str(folder), split="train")

    def streamed() -> Iterable:
        return load_dataset(str(folder), split="train", streaming=True)

    count = min(len(data), 100)

    def first(rows: Iterable, number: int = count) -> Callable[[], object]:
        return lambda: [None for _ in itertools.islice(rows, number)]

    plain = cpu_ms(first(data), count)
    report("rows as Python (plain load_dataset)", plain)
    report("rows as Python, streamed", cpu_ms(first(streamed()), count))
    report("  and decode(row)", cpu_ms(lambda: [decode(row) for row in itertools.islice(data, count)], count))
    whole = len(data)
    fast = cpu_ms(first(stream(data), whole), whole)
    report("stream(): records and rows", fast, f"{plain / fast:.1f}x the plain rows")
    report("stream() of a streamed split", cpu_ms(first(stream(streamed()), whole), whole))
    report("with_transform, signal only", cpu_ms(first(with_transform(data, images=False)), count))
    report("with_transform, pages drawn", cpu_ms(first(with_transform(data), 50), 50), "goal: 10 /s/core")


if __name__ == "__main__":
    main()
