"""What GEM costs beside its parts: forward time, memory of loading and converting, batched generation.

    OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/bench_model.py
    OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/bench_model.py forward batch

All models are random; every ratio is of things measured in turn in one run. Times are CPU seconds, the least of several
rounds. Memory is the peak resident set above what the imports take, each in a process of its own; the checkpoints
(about 1 GB each) go to a temporary folder.
"""

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForImageTextToText, CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

from modeling_gem import GemConfig, GemEcgConfig, GemForConditionalGeneration
from modeling_gem.chat_templates import PLAIN
from modeling_gem.convert_gem import build_processor, convert_original_checkpoint
from processing.ecg_simulator import simulate_ecg
from tests.helpers.tiny_gem import tiny_config, tiny_model, tiny_tokenizer

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


def show(what: str, figures: str, ratio: float, target: str, met: bool) -> None:
    print(f"{what:<46} {figures:<38} {ratio:6.3f}   {target:<8} {'met' if met else 'MISSED'}", flush=True)


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
        ratio = best["whole"] / best["parts"]
        figures = f"{best['whole'] * 1000:.0f} ms / parts {best['parts'] * 1000:.0f} ms"
        show(f"forward, batch {batch}, {ids.shape[1]} tokens", figures, ratio, "<= 1.02", ratio <= 1.02)


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
        assert not any(parameter.is_meta for parameter in model.parameters())
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


def embedded_sized_model() -> GemForConditionalGeneration:
    """Random weights in the shape of the embedded model."""
    narrow = {"hidden_size": 192, "intermediate_size": 768, "num_attention_heads": 3}
    config = tiny_config(
        text_config=LlamaConfig(
            vocab_size=302,
            hidden_size=256,
            intermediate_size=768,
            num_hidden_layers=6,
            num_attention_heads=8,
            num_key_value_heads=4,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
        ),
        ecg_config=GemEcgConfig(**narrow, num_hidden_layers=6),
        vision_config=CLIPVisionConfig(**narrow, num_hidden_layers=5, image_size=336, patch_size=28),
        vision_feature_layer=-1,
    )
    return tiny_model(config)


def bench_batch(rounds: int, new_tokens: int, attention: str) -> None:
    """Eight records with signal, picture, both and neither: one batch beside one by one."""
    models = {"embedded size": embedded_sized_model(), "test size": tiny_model()}
    for name, model in models.items():
        model.set_attn_implementation(attention)
        processor = build_processor(model.config, tiny_tokenizer(), PLAIN)
        records = [simulate_ecg(seed=seed).record for seed in range(6)]
        chats = []
        for number, (record, modality) in enumerate(
            zip(records, ("both", "both", "signal", "signal", "image", "image"), strict=True)
        ):
            chats.append(
                processor.build_conversation(record, "Interpret this ECG. " * (number + 1), modality=modality)
            )
        chats += [processor.build_conversation(None, question) for question in ("What is a QRS complex?", "Hello")]

        def encode(conversations):
            return processor.apply_chat_template(  # noqa: B023 (called within this round)
                conversations,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                draw_page=False,
                processor_kwargs={"padding": True},
            )

        def answers(inputs) -> list[list[int]]:
            new = model.generate(**inputs, max_new_tokens=new_tokens, do_sample=False)  # noqa: B023
            return new[:, inputs["input_ids"].shape[1] :].tolist()

        together, alone = encode(chats), [encode([chat]) for chat in chats]
        same = answers(together) == [answers(inputs)[0] for inputs in alone]
        tokens_only = least_seconds(
            {"together": lambda: answers(together), "alone": lambda: [answers(inputs) for inputs in alone]},  # noqa: B023
            rounds,
        )
        everything = least_seconds(
            {
                "together": lambda: answers(encode(chats)),  # noqa: B023
                "alone": lambda: [answers(encode([chat])) for chat in chats],  # noqa: B023
            },
            rounds,
        )
        for what, best in (("generate", tokens_only), ("processor + generate", everything)):
            ratio = best["alone"] / best["together"]
            figures = f"{8 / best['together']:.1f} / {8 / best['alone']:.1f} records/s"
            show(f"batch of 8, {name}, {what}", figures, ratio, ">= 4", ratio >= 4)
        print(f"batch of 8, {name}: {'the same ids as one by one' if same else 'OTHER IDS THAN ONE BY ONE'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"what to measure, of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=10, help="rounds; the least time counts (default 10)")
    parser.add_argument("--new-tokens", type=int, default=64, help="tokens to generate per record (default 64)")
    parser.add_argument("--attention", default="sdpa", help="attention implementation of the batches (default sdpa)")
    parser.add_argument("--measure", nargs=3, metavar=("ACTION", "SOURCE", "TARGET"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        action, source, target = arguments.measure
        return measure(action, Path(source), Path(target))
    parts = arguments.parts or PARTS
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}")
    print(f"{'':<46} {'measured':<38} {'ratio':>6}   target")
    if "forward" in parts:
        bench_forward(arguments.rounds)
    if "memory" in parts:
        bench_memory()
    if "batch" in parts:
        bench_batch(max(3, arguments.rounds // 3), arguments.new_tokens, arguments.attention)


if __name__ == "__main__":
    main()
