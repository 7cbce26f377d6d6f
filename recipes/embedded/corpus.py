# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Every ECG that the embedded model learns from, read and measured once: signals, statements and measurements.

    python -m recipes.embedded.corpus records --ptbxl PTBXL --ptbxl MORE --output outputs/records
    python -m recipes.embedded.corpus again --records outputs/records --output outputs/again

PTB-XL's folds 1-7 are learned from, fold 8 chooses lengths, limits and weights, and fold 9 is read once, by the finished model's
scores. Nothing of fold 9 or 10 is in a corpus.
"""

import json
import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.errors_gem import GemError
from processing.feature_extraction_gem import GemFeatureExtractor
from recipes.console import run_script
from recipes.files import atomic_folder, write_json
from recipes.sources.ptbxl import PtbxlItem, read_ptbxl

from .recorded_again import recorded_again, whole_beats
from .records import SIMULATED, simulated_items

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, help="Read and measure every ECG once."
)
LEARNT_FOLDS, CHOICE_FOLD = tuple(range(1, 8)), 8
SIMULATED_FOLD = 0
SAMPLES, RATE = 5000, 500.0
MICROVOLTS = 1000
# Each record once as it is, and recorded again; for the language model, which knows a text by heart sooner than a tower a signal.
VERSIONS = 3


@dataclass(frozen=True)
class Corpus:
    """
    Measured ECGs of 10 s at 500 Hz.

    Attributes:
        signals: int16 microvolts `(records, 12, 5000)`, on disk.
        rows: per record `id`, `codes` (SCP statement -> likelihood in percent), `fold` (`SIMULATED_FOLD` of simulated ones) and
            the `rate` (Hz) at which it was recorded.
        features: per record what was measured in it.
    """

    signals: np.ndarray
    rows: list[dict[str, Any]]
    features: list[EcgFeatures]

    @classmethod
    def load(cls, *folders: str | Path) -> "Corpus":
        """The corpora in `folders`, one behind the other; of several the signals are in memory.

        Raises:
            GemError: a folder holds none.
        """
        parts = [cls._load(Path(folder)) for folder in folders]
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.signals for part in parts]),
            list(chain.from_iterable(part.rows for part in parts)),
            list(chain.from_iterable(part.features for part in parts)),
        )

    @classmethod
    def _load(cls, folder: Path) -> "Corpus":
        if not (folder / "signals.npy").is_file():
            raise GemError(f"{folder}: no corpus (signals.npy is missing); make it with recipes.embedded.corpus.")
        rows = corpus_rows(folder)
        with (folder / "features.pickle").open("rb") as file:
            features = [pickle.load(file) for _ in rows]
        return cls(np.load(folder / "signals.npy", mmap_mode="r"), rows, features)

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, keep: Callable[[dict[str, Any]], bool]) -> "Corpus":
        """The records whose row is to be kept; their signals are in memory."""
        kept = [number for number, row in enumerate(self.rows) if keep(row)]
        return Corpus(
            self.signals[kept], [self.rows[number] for number in kept], [self.features[number] for number in kept]
        )

    def item(self, number: int) -> PtbxlItem:
        """A record as those of PTB-XL are read."""
        row = self.rows[number]
        signal = self.signals[number].astype(np.float32) / MICROVOLTS
        return PtbxlItem(EcgRecord(signal, STANDARD_LEADS, RATE, record_id=row["id"]), row["codes"], row["fold"])


def corpus_rows(folder: Path) -> list[dict[str, Any]]:
    """`Corpus.rows` of a folder, without signals and measurements.

    Raises:
        GemError: the folder holds no corpus.
    """
    if not (folder / "rows.json").is_file():
        raise GemError(f"{folder}: no corpus (rows.json is missing); make it with recipes.embedded.corpus.")
    return json.loads((folder / "rows.json").read_text())


def _measured(item: PtbxlItem) -> tuple[np.ndarray, dict[str, Any], EcgFeatures] | None:
    """Signal, row and measurements of an ECG; None where the model would not be given it either."""
    try:
        values = GemFeatureExtractor()(item.record)["ecg_values"][0]
    except GemError as error:
        print(f"left out: {error}")
        return None
    signal = np.rint(values * MICROVOLTS).clip(-32768, 32767).astype(np.int16)
    row = {"id": item.record.record_id, "codes": item.codes, "fold": item.fold, "rate": item.record.sampling_rate}
    return signal, row, extract_features(item.record)


def write_corpus(items: Iterable[PtbxlItem], output: Path, processes: int) -> int:
    """Measures `items` in `processes` beside this one and writes them to `output`, all or nothing; their number."""
    rows, signals = [], []
    with atomic_folder(output) as part, get_context("spawn").Pool(processes) as pool:
        with (part / "features.pickle").open("wb") as file:
            for found in pool.imap(_measured, items, chunksize=8):
                if found is not None:
                    signal, row, features = found
                    signals.append(signal)
                    rows.append(row)
                    pickle.dump(features, file)
        np.save(part / "signals.npy", np.stack(signals))
        write_json(part / "rows.json", rows)
    return len(rows)


def recorded_versions(corpus: Corpus, versions: int, seed: int) -> Iterator[PtbxlItem]:
    """Every record of `LEARNT_FOLDS` recorded again `versions` times; the same for the same seed."""
    for number, row in enumerate(corpus.rows):
        if row["fold"] in LEARNT_FOLDS:
            item, rng = corpus.item(number), np.random.default_rng((seed, number))
            beats = whole_beats(item.record, corpus.features[number])
            for version in range(1, versions + 1):
                yield recorded_again(item, beats, f"{seed}-{version}", rng)


OutputOption = Annotated[Path, typer.Option(help="Folder to write.")]
SeedOption = Annotated[int, typer.Option()]
ProcessesOption = Annotated[int, typer.Option(help="Processes that measure.")]


@app.command()
def records(
    ptbxl: Annotated[list[Path], typer.Option(help="PTB-XL: its folder as published, or Parquet files; repeatable.")],
    output: OutputOption,
    simulated: Annotated[int, typer.Option(help="Simulated ECGs beside PTB-XL's.")] = SIMULATED,
    limit: Annotated[int | None, typer.Option(help="Only the first records of each folder, for a trial.")] = None,
    processes: ProcessesOption = 2,
    seed: SeedOption = 0,
) -> None:
    """PTB-XL's folds 1-8 and simulated ECGs."""
    folds = (*LEARNT_FOLDS, CHOICE_FOLD)
    read = chain.from_iterable(islice(read_ptbxl(folder, folds), limit) for folder in ptbxl)
    count = write_corpus(chain(read, simulated_items(simulated, seed + 1)), output, processes)
    print(json.dumps({"records": count}))


@app.command()
def again(
    records: Annotated[Path, typer.Option(help="What `records` wrote.")],
    output: OutputOption,
    versions: Annotated[int, typer.Option(help="How often each record is recorded again.")] = VERSIONS,
    processes: ProcessesOption = 2,
    seed: SeedOption = 0,
) -> None:
    """The records that are learned from, recorded again: begun at another beat, faster or slower, other noise."""
    count = write_corpus(recorded_versions(Corpus.load(records), versions, seed), output, processes)
    print(json.dumps({"records": count}))


__all__ = [
    "CHOICE_FOLD",
    "LEARNT_FOLDS",
    "SIMULATED_FOLD",
    "Corpus",
    "corpus_rows",
    "recorded_versions",
    "write_corpus",
]

if __name__ == "__main__":
    run_script(app)
