# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A GEM with random weights and its processor, small enough for every test to build its own."""

from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import CLIPVisionConfig, LlamaConfig, PretrainedConfig, PreTrainedTokenizerFast

from modeling_gem import GemConfig, GemEcgConfig, GemForConditionalGeneration, GemProcessor
from modeling_gem.chat_templates import PLAIN
from modeling_gem.gem_parts import build_processor
from processing.ecg_page import render_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.simulator.simulator import simulate_ecg


@cache
def _trained_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["Interpret this ECG. Sinus rhythm, PR interval, QRS duration."] * 10, trainer)
    return tokenizer


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_trained_tokenizer().to_str()),
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        padding_side="left",
        model_max_length=2048,
        additional_special_tokens=["<ecg>", "<image>"],
    )


def tiny_text_config(vocab_size: int = 302, **changes: Any) -> LlamaConfig:
    settings = {
        "vocab_size": vocab_size,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return LlamaConfig(**settings | changes)


def tiny_config(text_config: PretrainedConfig | None = None, **changes: Any) -> GemConfig:
    """By default one ECG is 11 tokens (500 samples), one 28 px picture 4."""
    settings: dict[str, Any] = {
        "text_config": text_config or tiny_text_config(),
        "ecg_config": GemEcgConfig(
            hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2, seq_length=500
        ),
        "vision_config": CLIPVisionConfig(
            hidden_size=24,
            intermediate_size=48,
            num_hidden_layers=3,
            num_attention_heads=2,
            image_size=28,
            patch_size=14,
            projection_dim=16,
        ),
        "ecg_token_id": 300,
        "image_token_id": 301,
    }
    return GemConfig(**settings | changes)


def tiny_model(config: GemConfig | None = None, seed: int = 0) -> GemForConditionalGeneration:
    torch.manual_seed(seed)
    model = GemForConditionalGeneration(config or tiny_config()).eval()
    with torch.no_grad():
        # Random heads of standard deviation 0.02 give nearly flat logits, in which equality tests prove little.
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    model.generation_config.update(
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=None,
        suppress_tokens=[model.config.ecg_token_id, model.config.image_token_id],
    )
    return model


def tiny_processor(config: GemConfig | None = None, **changes: Any) -> GemProcessor:
    processor = build_processor(config or tiny_config(), tiny_tokenizer(), PLAIN)
    for name, value in changes.items():
        setattr(processor, name, value)
    return processor


@cache
def _simulated(seed: int) -> np.ndarray:
    return simulate_ecg(seed=seed).record.signal.astype(np.float32)


def trusting(processor: GemProcessor) -> GemProcessor:
    """The processor itself, which takes pictures of anything: those of the original code's golden values are not ECG pages."""
    processor.judge_pictures = False
    return processor


def signal(seed: int = 0, samples: int = 500) -> np.ndarray:
    """A simulated ECG in mV at 500 Hz, `(12, samples)`, up to 10 s of it."""
    return _simulated(seed)[:, :samples].copy()


@cache
def _drawn(seed: int) -> Image.Image:
    return render_ecg(EcgRecord(_simulated(seed), STANDARD_LEADS, 500), layout="square_12x1", size=(160, 160)).to_pil()


def page(seed: int = 0) -> Image.Image:
    """A small page of the simulated ECG."""
    return _drawn(seed).copy()


def picture(seed: int = 0, height: int = 90, width: int = 120) -> Image.Image:
    """Random pixels, for code that takes any picture."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8))


def chat(
    seed: int = 0, ecg: bool = True, image: bool = True, text: str = "Interpret this ECG.", answer: str | None = None
):
    content: list[dict[str, Any]] = []
    if ecg:
        content.append({"type": "ecg", "ecg": signal(seed), "sampling_rate": 500})
    if image:
        content.append({"type": "image", "image": page(seed)})
    messages = [{"role": "user", "content": [*content, {"type": "text", "text": text}]}]
    return messages if answer is None else [*messages, {"role": "assistant", "content": answer}]
