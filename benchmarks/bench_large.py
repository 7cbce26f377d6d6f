# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Converts a checkpoint of LLaVA-7B's shape with `gem convert`, and loads the result with less memory than its size.

    PYTHONPATH=. python benchmarks/bench_large.py --folder /a/disk/with/45/GB
    PYTHONPATH=. python benchmarks/bench_large.py --shape tiny

Makes LLaVA-1.5-7B (LLaMA 7B and the image tower CLIP ViT-L/14 at 336 px) and ECG-CoCa's tower with random bfloat16 weights, in
shards; converts; loads with `device_map="auto"`, what does not fit into `--memory` stays on the disk; generates one token.
Each step is a process of its own. Peaks are of its memory above what the imports take, every 20 ms: `anonymous` is what the
process itself holds, and what a limit kills for; `mapped` are pages of files that the system drops when others need the memory. All
files are deleted at the end.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoModelForImageTextToText, AutoProcessor, CLIPVisionConfig, CLIPVisionModel

from modeling_gem import GemEcgConfig, GemEcgModel
from modeling_gem.convert_gem import convert_original_checkpoint
from processing.simulator.simulator import simulate_ecg

TOKENIZER = Path(__file__).parents[1] / "tests/fixtures/original_f1/checkpoint/llava-gem-F1"
# LLaVA-1.5-7B: config.json of liuhaotian/llava-v1.5-7b and openai/clip-vit-large-patch14-336.
LARGE = {
    "text": {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32},
    "vision": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16},
    "sides": {"image_size": 336, "patch_size": 14},
    "ecg": {},
    "vocab_size": 32000,
    "shard_gb": 2.0,
}
TINY = {
    "text": {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4},
    "vision": {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2},
    "sides": {"image_size": 28, "patch_size": 14},
    "ecg": {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 1},
    "vocab_size": 600,
    "shard_gb": 0.0002,
}
MEDIUM = LARGE | {"text": LARGE["text"] | {"num_hidden_layers": 4}, "shard_gb": 0.5}
SHAPES = {"7b": LARGE, "medium": MEDIUM, "tiny": TINY}


def weight_shapes(shape: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the weights of LLaVA, but for those of its image tower."""
    width, inner = shape["text"]["hidden_size"], shape["text"]["intermediate_size"]
    yield "model.embed_tokens.weight", (shape["vocab_size"], width)
    for layer in range(shape["text"]["num_hidden_layers"]):
        name = f"model.layers.{layer}"
        for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
            yield f"{name}.self_attn.{part}.weight", (width, width)
        yield f"{name}.mlp.gate_proj.weight", (inner, width)
        yield f"{name}.mlp.up_proj.weight", (inner, width)
        yield f"{name}.mlp.down_proj.weight", (width, inner)
        yield f"{name}.input_layernorm.weight", (width,)
        yield f"{name}.post_attention_layernorm.weight", (width,)
    yield "model.norm.weight", (width,)
    yield "lm_head.weight", (shape["vocab_size"], width)
    for layer, columns in ((0, shape["vision"]["hidden_size"]), (2, width)):
        yield f"model.mm_projector.{layer}.weight", (width, columns)
        yield f"model.mm_projector.{layer}.bias", (width,)


def make(folder: Path, shape: dict[str, Any]) -> None:
    """`folder/llava` in shards, `folder/clip` and `folder/ecg`."""
    torch.manual_seed(0)
    llava = folder / "llava"
    llava.mkdir(parents=True)
    for name in ("tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copyfile(TOKENIZER / name, llava / name)
    config = {"model_type": "llava_llama", "vocab_size": shape["vocab_size"], "max_position_embeddings": 4096}
    config |= shape["text"] | {
        "mm_vision_tower": "openai/clip-vit-large-patch14-336",
        "mm_projector_type": "mlp2x_gelu",
    }
    config |= {"mm_vision_select_layer": -2, "mm_vision_select_feature": "patch", "image_aspect_ratio": "pad"}
    (llava / "config.json").write_text(json.dumps(config))
    shards: list[dict[str, tuple[int, ...]]] = [{}]
    for name, size in weight_shapes(shape):
        held = sum(2 * torch.Size(other).numel() for other in shards[-1].values())
        if held + 2 * torch.Size(size).numel() > shape["shard_gb"] * 1e9 and shards[-1]:
            shards.append({})
        shards[-1][name] = size
    index = {}
    for number, content in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        # Norms of ones: what is generated from the rest then stays finite.
        tensors = {
            name: torch.ones(size, dtype=torch.bfloat16)
            if "norm" in name
            else torch.empty(size, dtype=torch.bfloat16).normal_(std=0.02)
            for name, size in content.items()
        }
        save_file(tensors, llava / file, metadata={"format": "pt"})
        index |= dict.fromkeys(content, file)
    (llava / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    clip = CLIPVisionConfig(**shape["vision"], **shape["sides"], projection_dim=16)
    CLIPVisionModel(clip).bfloat16().save_pretrained(folder / "clip")
    GemEcgModel(GemEcgConfig(**shape["ecg"])).bfloat16().save_pretrained(folder / "ecg")


def memory_gb() -> dict[str, float]:
    """Of this process, by kind (Linux)."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    kinds = {"anonymous": "RssAnon", "mapped": "RssFile"}
    return {kind: int(fields[name].split()[0]) * 1024 / 1e9 for kind, name in kinds.items()}


class Peaks(threading.Thread):
    """The largest memory between `start` and `stop`, by kind, above that at the start."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.before = memory_gb()
        self.largest = dict(self.before)
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.02):
            for kind, held in memory_gb().items():
                self.largest[kind] = max(self.largest[kind], held)

    def stop(self) -> dict[str, float]:
        self.done.set()
        self.join()
        return {f"{kind}_gb": self.largest[kind] - self.before[kind] for kind in self.largest}


def convert(folder: Path) -> dict[str, Any]:
    report = convert_original_checkpoint(
        folder / "llava", folder / "gem", vision_tower=folder / "clip", ecg_encoder=folder / "ecg"
    )
    return {"parameters": report.num_parameters}


def generate(folder: Path, memory: float) -> dict[str, Any]:
    """One token about one ECG and its page."""
    limit = {"cpu": f"{int(memory * 1e6)}KB"}
    model = AutoModelForImageTextToText.from_pretrained(
        folder / "gem", dtype="auto", device_map="auto", max_memory=limit, offload_folder=folder / "offload"
    )
    processor = AutoProcessor.from_pretrained(folder / "gem")
    chat = processor.build_conversation(simulate_ecg(seed=0).record)
    inputs = processor.apply_chat_template(
        chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    answer = model.generate(**inputs, max_new_tokens=1, do_sample=False)
    places = [str(place) for place in getattr(model, "hf_device_map", {}).values()]
    return {
        "modules_on_disk": places.count("disk"),
        "modules_in_memory": places.count("cpu"),
        "prompt_tokens": inputs["input_ids"].shape[1],
        "token": int(answer[0, -1]),
    }


def run_step(step: str, folder: Path, memory: float) -> dict[str, Any]:
    command = [sys.executable, __file__, "--step", step, "--folder", str(folder), "--memory", str(memory)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="7b")
    parser.add_argument("--folder", type=Path, help="where the files go, instead of the system's temporary folder")
    parser.add_argument("--memory", type=float, default=4.0, help="GB that the loaded model may take")
    parser.add_argument("--output", type=Path, help="JSON with the figures")
    parser.add_argument("--step", choices=("convert", "generate"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        peaks, started = Peaks(), time.perf_counter()
        peaks.start()
        done = convert(given.folder) if given.step == "convert" else generate(given.folder, given.memory)
        print(json.dumps({"seconds": time.perf_counter() - started, **peaks.stop(), **done}))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        make(folder, SHAPES[given.shape])
        shards = [file.stat().st_size / 1e9 for file in (folder / "llava").glob("*.safetensors")]
        figures: dict[str, Any] = {"shape": given.shape, "shards_gb": shards}
        for step in ("convert", "generate"):
            figures[step] = run_step(step, folder, given.memory)
            print(step, {key: round(value, 3) for key, value in figures[step].items()}, flush=True)
    text = json.dumps(figures, indent=1)
    if given.output is None:
        print(text)
    else:
        given.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
