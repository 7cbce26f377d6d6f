# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The overhead of GEM over its parts: forward time, memory of loading and converting, batched generation.

    OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/bench_model.py
    OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/bench_model.py forward batch

All models but the embedded one have random weights. The two sides of a ratio are measured alternately in one run. Times are CPU
seconds, the minimum of several rounds. Memory is the peak resident set minus that after the imports, each in its own process; the
checkpoints (about 1 GB each) are written to a temporary folder.

A batch saves work that does not grow with its rows: Python's overhead, and the reading of weights while decoding. The prompt takes the
same arithmetic per token, and padding adds to it, so one core saves nothing there. The gain of a batch therefore grows with the length
of the answers (--new-tokens) and is larger for small models.
"""

import argparse
import gc
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from modeling_gem import GemConfig, GemEcgConfig, GemForConditionalGeneration, default_checkpoint
from modeling_gem.chat_templates import PLAIN
from modeling_gem.convert_gem import convert_original_checkpoint
from modeling_gem.gem_parts import build_processor
from processing.simulator.simulator import simulate_ecg
from tests.helpers.tiny_gem import tiny_model, tiny_tokenizer

PARTS = ("forward", "memory", "batch")
VOCABULARY = 32000


def gem_config(text: dict, ecg: dict, vision: dict, **changes) -> GemConfig:
    return GemConfig(
        text_config=LlamaConfig(**text),
        ecg_config=GemEcgConfig(**ecg),
        vision_config=CLIPVisionConfig(**vision),
        **changes,
    )


def least_seconds(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Least CPU seconds of each run; the runs take turns, the order is reversed every other round."""
    best = dict.fromkeys(runs, float("inf"))
    for number in range(rounds + 1):
        for name in list(runs)[:: 1 if number % 2 else -1]:
            gc.collect()
            start = time.process_time()
            runs[name]()
            if number:  # the first round warms up
                best[name] = min(best[name], time.process_time() - start)
    return best


def show(what: str, figures: str, ratio: float, target: str = "", met: bool | None = None) -> None:
    verdict = {None: "", True: "met", False: "MISSED"}[met]
    print(f"{what:<49} {figures:<38} {ratio:6.3f}   {target:<8} {verdict}".rstrip(), flush=True)


# Forward


def bench_forward(rounds: int) -> None:
    """The whole model beside its towers, projectors, language model and head called by hand on the same tensors."""
    width = {"hidden_size": 384, "intermediate_size": 1536, "num_attention_heads": 6}
    config = gem_config(
        {**width, "num_hidden_layers": 8, "vocab_size": VOCABULARY + 2},
        {**width, "num_hidden_layers": 6},
        {**width, "num_hidden_layers": 7, "image_size": 224, "patch_size": 14},
    )
    torch.manual_seed(0)
    model = GemForConditionalGeneration(config).eval()
    body = model.model
    for batch in (1, 4):
        ecg, pixels = torch.randn(batch, 12, 5000), torch.randn(batch, 3, 224, 224)
        text = torch.randint(10, 1000, (batch, 64))
        holders = torch.tensor([config.ecg_token_id] * 101 + [config.image_token_id] * 256).expand(batch, -1)
        ids = torch.cat([text[:, :32], holders, text[:, 32:]], dim=1)
        inputs = {"input_ids": ids, "ecg_values": ecg, "pixel_values": pixels, "attention_mask": torch.ones_like(ids)}
        kept: dict[str, torch.Tensor] = {}
        hook = body.language_model.register_forward_pre_hook(
            lambda _, args, kwargs, kept=kept: kept.update(embeds=kwargs["inputs_embeds"]), with_kwargs=True
        )
        with torch.inference_mode():
            expected = model(**inputs).logits
        hook.remove()

        def whole(inputs=inputs):
            with torch.inference_mode():
                return model(**inputs).logits

        def by_parts(ecg=ecg, pixels=pixels, kept=kept, mask=inputs["attention_mask"]):
            with torch.inference_mode():
                body.multi_modal_projector(body.ecg_projector(body.ecg_tower(ecg).last_hidden_state))
                states = body.vision_tower(pixels, output_hidden_states=True).hidden_states[-1]
                body.multi_modal_projector(states[:, 1:])
                return model.lm_head(body.language_model(inputs_embeds=kept["embeds"], attention_mask=mask)[0])

        assert torch.equal(by_parts(), expected), "the parts by hand do not compute what the model computes"
        best = least_seconds({"whole": whole, "parts": by_parts}, rounds)
        what = f"forward, batch {batch}, {ids.shape[1]} tokens"
        figures = f"{best['whole'] * 1000:.0f} ms / parts {best['parts'] * 1000:.0f} ms"
        show(f"{what}, GEM / parts", figures, best["whole"] / best["parts"])
        # Two long runs differ by some percent on a busy machine. The overhead of GEM, timed alone, does not.
        with recorded_parts(model, inputs):
            glue = least_seconds({"glue": whole}, 10 * rounds)["glue"]
        ratio = 1 + glue / best["parts"]
        show(f"{what}, overhead timed alone", f"{glue * 1000:.2f} ms", ratio, "<= 1.02", ratio <= 1.02)


@contextmanager
def recorded_parts(model: GemForConditionalGeneration, inputs: dict[str, torch.Tensor]) -> Iterator[None]:
    """Towers, projectors, language model and head return recorded results, so that only GEM's overhead takes time."""
    body = model.model
    parts = [body.ecg_tower, body.vision_tower, body.ecg_projector, body.multi_modal_projector, body.language_model]
    outputs: dict[int, list] = {}
    hooks = [
        part.register_forward_hook(lambda part, _, output: outputs.setdefault(id(part), []).append(output))
        for part in (*parts, model.lm_head)
    ]
    with torch.inference_mode():
        model(**inputs)
    for hook in hooks:
        hook.remove()
    # The shared projector is called for the picture and for the ECG, in the model's order.
    recorded = {part: itertools.cycle(outputs[id(part)]) for part in (*parts, model.lm_head)}
    for part in recorded:
        part.forward = lambda *_, part=part, **__: next(recorded[part])
    try:
        yield
    finally:
        for part in recorded:
            del part.forward


# Memory


LARGE_TEXT = {
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 16,
    "num_attention_heads": 16,
    "vocab_size": VOCABULARY,
}


def write_gem(folder: Path, dtype: torch.dtype) -> None:
    width = {"hidden_size": 384, "intermediate_size": 1536, "num_attention_heads": 6, "num_hidden_layers": 6}
    config = gem_config(LARGE_TEXT, width, {**width, "image_size": 224, "patch_size": 14})
    GemForConditionalGeneration(config).to(dtype).save_pretrained(folder, max_shard_size="300MB")


def write_original(folder: Path) -> None:
    """The LLaVA layout: CLIP ViT-L/14-336 inside the checkpoint, bfloat16, shards with an index."""
    config = LlamaConfig(**LARGE_TEXT)
    weights = dict(LlamaForCausalLM(config).to(torch.bfloat16).state_dict())
    clip = CLIPVisionModel(GemConfig().vision_config).to(torch.bfloat16)
    weights |= {f"model.vision_tower.vision_tower.vision_model.{k}": v for k, v in clip.state_dict().items()}

    def new(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.bfloat16)

    width = 128
    tower = {
        "conv1.weight": new(width, 12, 50),
        "class_embedding": new(width),
        "positional_embedding": new(101, width),
    }
    tower |= {f"ln_{end}.{part}": new(width) for end in ("pre", "post") for part in ("weight", "bias")}
    block = {f"ln_{n}.{part}": new(width) for n in (1, 2) for part in ("weight", "bias")}
    block |= {"attn.in_proj_weight": new(3 * width, width), "attn.in_proj_bias": new(3 * width)}
    block |= {"attn.out_proj.weight": new(width, width), "attn.out_proj.bias": new(width)}
    block |= {"mlp.c_fc.weight": new(4 * width, width), "mlp.c_fc.bias": new(4 * width)}
    block |= {"mlp.c_proj.weight": new(width, 4 * width), "mlp.c_proj.bias": new(width)}
    tower |= {f"transformer.resblocks.0.{key}": value for key, value in block.items()}
    weights |= {f"model.ecg_tower.ecg_tower.{key}": value for key, value in tower.items()}
    weights |= {"model.ecg_projector.weight": new(1024, width), "model.ecg_projector.bias": new(1024)}
    for layer in (0, 2):
        weights |= {
            f"model.mm_projector.{layer}.weight": new(1024, 1024),
            f"model.mm_projector.{layer}.bias": new(1024),
        }

    folder.mkdir()
    keys, weight_map = sorted(weights), {}
    for number in range(4):
        name = f"model-{number + 1:05d}-of-00004.safetensors"
        save_file({key: weights[key].contiguous() for key in keys[number::4]}, folder / name)
        weight_map |= dict.fromkeys(keys[number::4], name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    settings = {
        "model_type": "llava_llama",
        "mm_vision_tower": "openai/clip-vit-large-patch14-336",
        "mm_projector_type": "mlp2x_gelu",
        "unfreeze_mm_vision_tower": True,
        "image_aspect_ratio": "pad",
    }
    (folder / "config.json").write_text(json.dumps(config.to_diff_dict() | LARGE_TEXT | settings))
    tiny_tokenizer().save_pretrained(folder)


def peak_memory(action: str, source: Path, target: Path) -> tuple[int, int]:
    """Peak bytes above the imports that `action` takes in a fresh process: resident, and without file pages."""
    command = [sys.executable, __file__, "--measure", action, str(source), str(target)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    resident, private = output.split()[-2:]
    return int(resident), int(private)


def measure(action: str, source: Path, target: Path) -> None:
    import threading

    import psutil

    process, stop, peaks = psutil.Process(), threading.Event(), [0, 0]

    def now() -> tuple[int, int]:
        memory = process.memory_info()
        return memory.rss, memory.rss - memory.shared

    def watch() -> None:
        while not stop.is_set():
            peaks[:] = map(max, peaks, now())
            time.sleep(0.001)

    # What Transformers imports late belongs to the imports.
    with tempfile.TemporaryDirectory() as folder:
        tiny_model().save_pretrained(folder)
        AutoModelForImageTextToText.from_pretrained(folder)
    gc.collect()
    base = now()
    thread = threading.Thread(target=watch)
    thread.start()
    if action == "load":
        model = AutoModelForImageTextToText.from_pretrained(source)
        for parameter in model.parameters():
            # Weights are memory-mapped: only touching every page brings them in.
            parameter.detach().view(-1)[:: 4096 // parameter.element_size()].sum()
    elif action == "convert":
        convert_original_checkpoint(source, target)
    stop.set()
    thread.join()
    peaks[:] = map(max, peaks, now())
    print(*(peak - start for peak, start in zip(peaks, base, strict=True)))


def bench_memory() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for dtype in (torch.float32, torch.bfloat16):
            write_gem(folder / "gem", dtype)
            size = sum(file.stat().st_size for file in (folder / "gem").glob("*.safetensors"))
            resident, private = peak_memory("load", folder / "gem", folder)
            figures = f"{resident / 1e6:.0f} MB ({private / 1e6:.0f} private) / {size / 1e6:.0f} MB"
            ratio = resident / size
            show(
                f"loading {str(dtype).removeprefix('torch.')}: peak / weights", figures, ratio, "<= 1.1", ratio <= 1.1
            )
        write_original(folder / "llava-gem")
        size = sum(file.stat().st_size for file in (folder / "llava-gem").glob("*.safetensors"))
        resident, private = peak_memory("convert", folder / "llava-gem", folder / "converted")
        figures = f"{resident / 1e6:.0f} MB ({private / 1e6:.0f} private) / {size / 1e6:.0f} MB"
        ratio = resident / size
        show("converting: peak / checkpoint", figures, ratio, "<= 1.25", ratio <= 1.25)


# Batches


def bench_batch(rounds: int, new_tokens: int, dtype: str) -> None:
    """Eight records with signal, picture, both and neither: one batch beside one by one."""
    tiny, folder = tiny_model(), default_checkpoint()
    candidates = [("tiny model", tiny, build_processor(tiny.config, tiny_tokenizer(), PLAIN))]
    if folder.is_dir():
        embedded = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype).eval()
        candidates.append(("embedded model", embedded, AutoProcessor.from_pretrained(folder)))
    for name, model, processor in candidates:
        bench_one_batch(name, model, processor, rounds, new_tokens)


def bench_one_batch(name: str, model: Any, processor: Any, rounds: int, new_tokens: int) -> None:
    modalities = ("both", "both", "signal", "signal", "image", "image", "neither", "neither")
    chats = []
    for seed, modality in enumerate(modalities):
        record = None if modality == "neither" else simulate_ecg(seed=seed).record
        chats.append(processor.build_conversation(record, modality="both" if record is None else modality))

    def encode(conversations: list) -> dict[str, torch.Tensor]:
        return processor.apply_chat_template(
            conversations,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            draw_page=False,
            processor_kwargs={"padding": True},
        )

    def answers(inputs: dict[str, torch.Tensor], length: int = new_tokens) -> list[str]:
        new = model.generate(**inputs, max_new_tokens=length, do_sample=False)
        return processor.batch_decode(new[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)

    together, alone = encode(chats), [encode([chat]) for chat in chats]
    batched, single = answers(together), [answers(inputs)[0] for inputs in alone]
    runs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "first token": (lambda: answers(together, 1), lambda: [answers(inputs, 1) for inputs in alone]),
        "whole answers": (lambda: answers(together), lambda: [answers(inputs) for inputs in alone]),
        "with processor": (lambda: answers(encode(chats)), lambda: [answers(encode([chat])) for chat in chats]),
    }
    for what, (batch, singles) in runs.items():
        best = least_seconds({"batch": batch, "singles": singles}, rounds)
        ratio = best["singles"] / best["batch"]
        figures = f"{8 / best['batch']:.1f} / {8 / best['singles']:.1f} records/s"
        target = () if what == "first token" else (">= 4", ratio >= 4)
        show(f"batch of 8, {name}, {what}", figures, ratio, *target)
    equal = sum(ours == theirs for ours, theirs in zip(batched, single, strict=True))
    length = sum(len(processor.tokenizer(answer).input_ids) for answer in single) / len(single)
    print(f"batch of 8, {name}: {equal} of 8 texts as one by one, {length:.0f} tokens each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"what to measure, of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=10, help="rounds; the least time counts (default 10)")
    parser.add_argument("--new-tokens", type=int, default=256, help="most tokens to generate per record (default 256)")
    parser.add_argument("--dtype", default="float32", help="of the embedded model in batches (default float32)")
    parser.add_argument("--measure", nargs=3, metavar=("ACTION", "SOURCE", "TARGET"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        action, source, target = arguments.measure
        return measure(action, Path(source), Path(target))
    parts = arguments.parts or PARTS
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}")
    print(f"{'':<49} {'measured':<38} {'ratio':>6}   target")
    if "forward" in parts:
        bench_forward(arguments.rounds)
    if "memory" in parts:
        bench_memory()
    if "batch" in parts:
        bench_batch(max(3, arguments.rounds // 3), arguments.new_tokens, arguments.dtype)


if __name__ == "__main__":
    main()
