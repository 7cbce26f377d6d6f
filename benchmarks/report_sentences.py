# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What the claim parser finds in sentences of other authors: `python -m benchmarks.report_sentences [--ptbxl PTBXL]`.

First, the sentences of `tests/fixtures/report_sentences.json` compared with the claims that a reader found: right, with the wrong
polarity, missed, surplus. Then the share of distinct sentences in PTB-XL's translated reports with at least one claim.
"""

import argparse
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from processing.claims.claims import extract_claims
from tests.helpers.report_sentences import compare, read_sentences, sentences_of


def main() -> None:
    """Prints both tables, and with `--faults` every sentence with an error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ptbxl", type=Path, help="Parquet files of PTB-XL with the column report_en")
    parser.add_argument("--faults", action="store_true", help="list the errors by sentence")
    options = parser.parse_args()
    checked(options.faults)
    if options.ptbxl is not None:
        understood(options.ptbxl)


def checked(list_faults: bool) -> None:
    """By source: expected claims, the shares found, surplus claims, and sentences without an error."""
    sentences = read_sentences()
    print("| source | sentences | claims | found | wrong polarity | missed | surplus | sentences read right |")
    print("|---|---|---|---|---|---|---|---|")
    for source in dict.fromkeys(sentence.source for sentence in sentences):
        part = [sentence for sentence in sentences if sentence.source == source]
        found = [compare(sentence) for sentence in part]
        expected = sum(len(sentence.expected) for sentence in part)
        right = sum(each.right for each in found)
        other, missed, surplus = (
            sum(len(getattr(each, name)) for each in found) for name in ("other_polarity", "missed", "surplus")
        )
        whole = sum(not (each.other_polarity or each.missed or each.surplus) for each in found)
        print(
            f"| {source} | {len(part)} | {expected} | {right / expected:.3f} | {other / expected:.3f} | {missed / expected:.3f} | "
            f"{surplus} | {whole} |"
        )
        if list_faults:
            for sentence, each in zip(part, found, strict=True):
                if each.other_polarity or each.missed or each.surplus:
                    print(f"  {sentence.text}\n    {each}")


def understood(folder: Path) -> None:
    """Share of distinct sentences with a claim, and the most frequent ones without."""
    counts: Counter[str] = Counter()
    for file in sorted(folder.glob("*.parquet")):
        for text in pq.read_table(file, columns=["report_en"])["report_en"].to_pylist():
            counts.update(part.lower() for part in sentences_of(text or ""))
    without = {part: count for part, count in counts.items() if not extract_claims(part)}
    total = sum(counts.values())
    print(
        f"\nPTB-XL report_en: {len(counts)} different sentences, {1 - len(without) / len(counts):.3f} with a claim; ",
        end="",
    )
    print(f"weighted by how often they stand there {1 - sum(without.values()) / total:.3f} of {total}")
    print("without: " + "; ".join(part for part, _ in Counter(without).most_common(12)))


if __name__ == "__main__":
    main()
