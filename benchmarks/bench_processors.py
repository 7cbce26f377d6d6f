# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Samples per second from a record to a model's tensors: `OMP_NUM_THREADS=1 python -m benchmarks.bench_processors`.

- GemProcessor draws the page straight at the size that the image tower sees, and makes the tensors of page, signal and question.
- The same from usual parts: a matplotlib page of 2200 x 1700 pixels as the paper's data have it, transformers' CLIPImageProcessor, the
  same tokenizer, and the signal as an array.

CPU time of one thread, minimum of the runs.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from transformers import AutoProcessor, CLIPImageProcessor

from benchmarks.bench_page import figure_page, measure, options_of_record, read_record, sample
from modeling_gem import default_checkpoint

QUESTION = "Interpret this ECG."


def main() -> None:
    parser = options_of_record(__doc__ or "", runs=10)
    options = parser.parse_args()
    record = read_record(options.record)
    processor = AutoProcessor.from_pretrained(default_checkpoint())
    pictures = CLIPImageProcessor(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336})

    def parts() -> None:
        page = Image.fromarray(figure_page(record)[..., :3])
        pictures(page, return_tensors="pt")
        processor.tokenizer(QUESTION, return_tensors="pt")
        torch.from_numpy(np.asarray(record.signal, dtype=np.float32)[None])

    methods: tuple[tuple[str, Callable[[], object]], ...] = (
        # A record that is new each time: what is found out about it is kept with it.
        ("GemProcessor", lambda: sample(processor, replace(record))),
        ("matplotlib page, CLIPImageProcessor, tokenizer", parts),
    )
    ours = None
    for name, task in methods:
        spent = measure(task, options.runs)
        ours = ours or spent
        print(f"{name:48s} {spent:8.1f} ms {1000 / spent:7.1f} samples/s {spent / ours:6.1f} x")


if __name__ == "__main__":
    main()
