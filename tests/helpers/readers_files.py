# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The files that README and docs/ call `my_...`, with content that a reader could have."""

import shutil
from pathlib import Path

import numpy as np
from datasets import Dataset, DatasetDict

from modeling_gem import default_checkpoint
from tests.helpers.ecg_files import LEADS, dicom_bytes, write_wfdb
from tests.helpers.source_trees import ptbxl_plus_tree, ptbxl_tree, simulated_microvolts

ROOT = Path(__file__).resolve().parents[2]
SOURCES = """\
output: my_dataset
sources: [{format: ptb-xl, path: my_ptbxl}]
teacher: {kind: template}
page: {size: 168}
workers: 1
"""
TRAINING = """\
model_name_or_path: my_model
dataset: my_instructions
output_dir: my_adapter
use_peft: true
lora_r: 4
max_steps: 2
per_device_train_batch_size: 2
use_cpu: true
bf16: false
report_to: none
"""


def write_readers_files(folder: Path) -> None:
    counts = simulated_microvolts()
    write_wfdb(folder, "my_record", counts)
    (folder / "my_record.dcm").write_bytes(dicom_bytes(counts, sensitivity="1", baseline="0"))
    (folder / "my_folder").mkdir()
    for seed in range(2):
        write_wfdb(folder / "my_folder", f"ecg{seed}", simulated_microvolts(seed))
    np.savetxt(
        folder / "my_export.csv", counts.T[::2] / 1000, delimiter=",", header=",".join(LEADS), comments="", fmt="%.3f"
    )
    (folder / "my_report.txt").write_text("Sinus rhythm, 70 bpm, no ST elevation.\n")
    ptbxl_tree(folder / "my_ptbxl", records=4)
    ptbxl_plus_tree(folder / "my_ptbxl_plus", records=4)
    shutil.copytree(ROOT / "tests/fixtures/evaluation/reasoning", folder / "my_reasoning")
    (folder / "my_sources.yaml").write_text(SOURCES)
    shutil.copytree(default_checkpoint(), folder / "my_model")
    messages = [{"role": "user", "content": "What is the rhythm?"}, {"role": "assistant", "content": "Sinus rhythm."}]
    rows = [{"id": str(n), "ecg": str(folder / "my_record.hea"), "messages": messages} for n in range(2)]
    DatasetDict({"train": Dataset.from_list(rows)}).save_to_disk(folder / "my_instructions")
    (folder / "my_config.yaml").write_text(TRAINING)
