# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Original GEM, PULSE, LLaVA and ECG-CoCa checkpoints -> ours, and fresh GEMs from parts. Every weight is accounted for."""

import ast
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import safe_open
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from processing.errors_gem import CheckpointError
from processing.feature_extraction_gem import GemFeatureExtractor
from processing.image_processing_gem import GemImageProcessor
from processing.processing_gem import GemProcessor

from .chat_templates import LLAVA_V1, multimodal_chat_template
from .configuration_gem import GemConfig, GemEcgConfig
from .modeling_gem import GemEcgModel, GemForConditionalGeneration, GemProjector

ECG_HEAD_WIDTH = 64  # open_clip's default, which ECG-CoCa keeps: one head per 64 channels

# Original names inside the signal tower -> ours; `attn.in_proj_*` is split into three.
ECG_TOWER_NAMES = (
    (r"^conv1\.weight$", "embeddings.patch_embedding.weight"),
    (r"^class_embedding$", "embeddings.class_embedding"),
    (r"^positional_embedding$", "embeddings.position_embedding"),
    (r"^ln_pre\.", "pre_layernorm."),
    (r"^ln_post\.", "post_layernorm."),
    (r"^proj$", "projection.weight"),
    (r"^transformer\.resblocks\.(\d+)\.ln_1\.", r"layers.\1.layer_norm1."),
    (r"^transformer\.resblocks\.(\d+)\.ln_2\.", r"layers.\1.layer_norm2."),
    (r"^transformer\.resblocks\.(\d+)\.attn\.", r"layers.\1.self_attn."),
    (r"^transformer\.resblocks\.(\d+)\.mlp\.c_fc\.", r"layers.\1.mlp.fc1."),
    (r"^transformer\.resblocks\.(\d+)\.mlp\.c_proj\.", r"layers.\1.mlp.fc2."),
)
# Original names outside of the towers -> ours.
MODEL_NAMES = (
    (r"^lm_head\.", "lm_head."),
    (r"^model\.(embed_tokens|layers|norm)\.", r"model.language_model.\1."),
    (r"^model\.mm_projector\.0\.", "model.multi_modal_projector.linear_1."),
    (r"^model\.mm_projector\.2\.", "model.multi_modal_projector.linear_2."),
    (r"^model\.mm_projector\.(weight|bias)$", r"model.multi_modal_projector.linear_1.\1"),
    (r"^model\.ecg_projector\.0\.", "model.ecg_projector.linear_1."),
    (r"^model\.ecg_projector\.2\.", "model.ecg_projector.linear_2."),
    (r"^model\.ecg_projector\.(weight|bias)$", r"model.ecg_projector.linear_1.\1"),
    (r"^model\.image_newline$", "model.image_newline"),
)
ECG_PREFIX = "model.ecg_tower.ecg_tower."
VISION_PREFIX = re.compile(r"^model\.vision_tower\.vision_tower\.(vision_model\.)?")
TEXT_MODEL_TYPES = {
    "llava": "llama",
    "llava_llama": "llama",
    "llava_mistral": "mistral",
    "llava_qwen": "qwen2",
    "llava_qwen2": "qwen2",
}
# openai/clip-vit-*: (hidden, intermediate, layers, heads). The original checkpoints name their tower but do not describe it.
OPENAI_CLIP = {"base": (768, 3072, 12, 12), "large": (1024, 4096, 24, 16)}
MERGE_TYPES = ("flat", "spatial_unpad")
# Weights of image models that no image tower needs, so that it does not matter whether a folder holds them.
UNUSED_PARTS = re.compile(r"(^|\.)(head|classifier|pooler|visual_projection|text_projection|text_model|logit_scale)\b")


@dataclass
class ConversionReport:
    """What went where. `sources` names where each part's weights came from; `dropped` lists source keys by reason."""

    output: str
    sources: dict[str, str] = field(default_factory=dict)
    converted: int = 0
    dropped: dict[str, list[str]] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)
    num_parameters: int = 0

    def drop(self, reason: str, keys: list[str]) -> None:
        if keys:
            self.dropped.setdefault(reason, []).extend(keys)

    def save(self) -> None:
        path = Path(self.output) / "conversion_report.json"
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


def read_weights(path: str | Path) -> Iterator[tuple[str, torch.Tensor]]:
    """
    Name and tensor of each weight of a file or folder (safetensors, shards with their index, or legacy `.bin`/`.pt`/
    `.pth`, which is only read with `weights_only=True`). Tensors are memory-mapped.

    Raises:
        CheckpointError: Nothing to read, a shard of the index is missing, or a pickle holds more than tensors.
    """
    path = Path(path)
    files = _weight_files(path) if path.is_dir() else [path]
    for file in files:
        if not file.is_file():
            raise CheckpointError(f"{file}: the weight file does not exist. Is the download complete?")
        if file.suffix == ".safetensors":
            try:
                with safe_open(file, framework="pt") as weights:
                    for key in weights.keys():  # noqa: SIM118 (not a dict)
                        yield key, weights.get_tensor(key)
            except Exception as error:
                raise CheckpointError(
                    f"{file}: not a readable safetensors file ({error}). Download it again."
                ) from error
        else:
            yield from _read_pickle(file).items()


def _weight_files(folder: Path) -> list[Path]:
    for pattern in ("*.safetensors.index.json", "*.bin.index.json"):
        for index in sorted(folder.glob(pattern)):
            return [folder / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    for pattern in ("*.safetensors", "pytorch_model*.bin"):
        if files := sorted(folder.glob(pattern)):
            return files
    raise CheckpointError(f"{folder}: no model weights here (*.safetensors or pytorch_model*.bin).")


def _read_pickle(file: Path) -> dict[str, torch.Tensor]:
    try:
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except Exception as error:
        raise CheckpointError(
            f"{file}: refused, it cannot be read as plain tensors ({type(error).__name__}). A pickle may run code when "
            "opened; save its state dict again with `torch.save(state_dict, ...)` or as safetensors on a machine you trust."
        ) from error
    state = content.get("state_dict", content)
    return {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}


def _rename(key: str, names: tuple[tuple[str, str], ...]) -> str | None:
    for pattern, replacement in names:
        renamed, count = re.subn(pattern, replacement, key)
        if count:
            return renamed
    return None


def convert_ecg_tower_weights(weights: dict[str, torch.Tensor], where: str) -> dict[str, torch.Tensor]:
    """ECG-CoCa's tower weights under our names.

    Raises:
        CheckpointError: A key that an ECG-CoCa tower does not have.
    """
    converted = {}
    for key, tensor in weights.items():
        name = _rename(key, ECG_TOWER_NAMES)
        if name is None:
            raise CheckpointError(f"{where}: the ECG tower holds the unknown weight `{key}`.")
        if "in_proj_" in name:
            for part, chunk in zip(("q", "k", "v"), tensor.chunk(3), strict=True):
                converted[name.replace("in_proj_", f"{part}_proj.")] = chunk.clone()
        else:
            converted[name] = tensor.T.contiguous() if key == "proj" else tensor
    return converted


def ecg_config_from_weights(weights: dict[str, torch.Tensor], where: str) -> GemEcgConfig:
    """The tower's configuration, read off the shapes of its converted weights."""
    patch_embedding = weights.get("embeddings.patch_embedding.weight")
    if patch_embedding is None:
        raise CheckpointError(f"{where}: there is no ECG tower (no `conv1.weight`).")
    width, leads, patch = patch_embedding.shape
    if width % ECG_HEAD_WIDTH:
        raise CheckpointError(
            f"{where}: an ECG tower of width {width} has no whole number of {ECG_HEAD_WIDTH}-wide heads."
        )
    layers = {int(match.group(1)) for key in weights if (match := re.match(r"layers\.(\d+)\.", key))}
    needed = ("embeddings.position_embedding", "layers.0.mlp.fc1.weight")
    if absent := [key for key in needed if key not in weights]:
        raise CheckpointError(f"{where}: the ECG tower lacks {', '.join(absent)}.")
    projection = weights.get("projection.weight")
    return GemEcgConfig(
        hidden_size=width,
        intermediate_size=weights["layers.0.mlp.fc1.weight"].shape[0],
        num_hidden_layers=len(layers),
        num_attention_heads=width // ECG_HEAD_WIDTH,
        num_leads=leads,
        patch_size=patch,
        seq_length=(weights["embeddings.position_embedding"].shape[0] - 1) * patch,
        projection_dim=None if projection is None else projection.shape[0],
    )


def read_ecg_coca(path: str | Path, report: ConversionReport) -> tuple[GemEcgConfig, dict[str, torch.Tensor]]:
    """Configuration and weights of the signal tower inside an ECG-CoCa checkpoint, or of a saved `GemEcgModel`."""
    path = Path(path)
    if path.is_dir():
        report.sources["ecg_tower"] = str(path)
        return GemEcgConfig.from_pretrained(path), dict(read_weights(path))
    tower, other = {}, []
    for key, tensor in read_weights(path):
        bare = key.removeprefix("module.")
        if bare.startswith("ecg."):
            tower[bare.removeprefix("ecg.")] = tensor
        elif bare.startswith(("text.", "text_decoder.", "logit_scale")):
            other.append(key)
        else:
            raise CheckpointError(
                f"{path}: `{key}` is no weight of an ECG-CoCa checkpoint (ecg., text., text_decoder.)."
            )
    report.sources["ecg_tower"] = str(path)
    report.drop("ECG-CoCa's text tower and decoder, which GEM does not use", other)
    weights = convert_ecg_tower_weights(tower, str(path))
    return ecg_config_from_weights(weights, str(path)), weights


def convert_ecg_coca(checkpoint: str | Path, output: str | Path) -> ConversionReport:
    """An ECG-CoCa `.pt` -> a saved `GemEcgModel`.

    Raises:
        CheckpointError: A leftover or missing weight.
    """
    report = ConversionReport(str(output))
    config, weights = read_ecg_coca(checkpoint, report)
    _save(GemEcgModel, config, weights, report)
    return report


def convert_original_checkpoint(
    checkpoint: str | Path, output: str | Path, vision_tower: str | Path | None = None, max_shard_size: str = "5GB"
) -> ConversionReport:
    """
    A checkpoint in the LLaVA layout (GEM, PULSE, LLaVA-1.5/1.6) -> a GEM folder with model, tokenizer and processor.
    A checkpoint without an ECG tower (PULSE, LLaVA) cannot become a GEM by itself: use `assemble_gem`.

    Args:
        checkpoint: Folder with `config.json`, weights and tokenizer.
        output: Folder to write.
        vision_tower: Folder of the CLIP model that `config.mm_vision_tower` names. Its weights are used where the
            original uses them: when the config lacks `unfreeze_mm_vision_tower`, the original ignores the tower inside
            the checkpoint. Looked for beside the checkpoint if not given.
        max_shard_size: Largest file to write.

    Raises:
        CheckpointError: A leftover or missing weight, or an image tower that only exists elsewhere.
    """
    checkpoint, output = Path(checkpoint), Path(output)
    if not (checkpoint / "config.json").is_file():
        raise CheckpointError(
            f"{checkpoint}: no config.json; give the folder of an original GEM, PULSE or LLaVA checkpoint."
        )
    original = json.loads((checkpoint / "config.json").read_text())
    report = ConversionReport(str(output))
    weights, tower, vision = {}, {}, {}
    for key, tensor in read_weights(checkpoint):
        if key.startswith(ECG_PREFIX):
            tower[key.removeprefix(ECG_PREFIX)] = tensor
        elif VISION_PREFIX.match(key):
            vision[VISION_PREFIX.sub("", key)] = tensor
        elif (name := _rename(key, MODEL_NAMES)) is not None:
            weights[name] = tensor
        else:
            raise CheckpointError(f"{checkpoint}: `{key}` is no weight of a GEM, PULSE or LLaVA checkpoint.")
    if not tower:
        raise CheckpointError(
            f"{checkpoint}: there is no ECG tower in this checkpoint (PULSE and LLaVA have none). Assemble a GEM from it "
            "and an ECG-CoCa checkpoint: `gem convert ECG_COCA.pt OUT --language-model DIR --vision-tower DIR`."
        )
    report.sources["language_model"] = report.sources["projectors"] = report.sources["ecg_tower"] = str(checkpoint)
    tower = convert_ecg_tower_weights(tower, str(checkpoint))
    ecg_config = ecg_config_from_weights(tower, str(checkpoint))
    weights |= {f"model.ecg_tower.{key}": tensor for key, tensor in tower.items()}

    vision_folder = _find_vision_tower(checkpoint, original, vision_tower)
    vision_config = _vision_config(original, vision_folder, checkpoint)
    if original.get("unfreeze_mm_vision_tower"):
        if not vision:
            raise CheckpointError(
                f"{checkpoint}: the config says that the image tower was tuned, but its weights are absent."
            )
        report.sources["vision_tower"] = f"{checkpoint} (unfreeze_mm_vision_tower)"
    else:
        report.drop(
            "image tower inside the checkpoint, which the original ignores", [f"vision_tower.{k}" for k in vision]
        )
        if vision_folder is None:
            raise CheckpointError(
                f"{checkpoint}: the original takes its image tower from {original.get('mm_vision_tower')!r}, not from this "
                "checkpoint (no `unfreeze_mm_vision_tower`). Give that CLIP model's folder with `--vision-tower DIR`."
            )
        vision = _vision_weights(vision_folder, report)
        report.sources["vision_tower"] = str(vision_folder)
    weights |= {f"model.vision_tower.{key}": tensor for key, tensor in vision.items()}

    text_config = _text_config(original)
    tokenizer = _original_tokenizer(checkpoint, text_config)
    ecg_token_id, image_token_id = add_placeholders(tokenizer)
    aspect_ratio, merge_type, pinpoints = _picture_layout(original, checkpoint)
    if merge_type == "flat" and weights.pop("model.image_newline", None) is not None:
        report.drop("`image_newline`, which this picture layout does not use", ["model.image_newline"])
    config = GemConfig(
        text_config=text_config,
        vision_config=vision_config,
        ecg_config=ecg_config,
        ecg_token_id=ecg_token_id,
        image_token_id=image_token_id,
        ecg_projector_type=original.get("ecg_projector_type", "linear"),
        projector_type=original.get("mm_projector_type", "linear"),
        vision_feature_layer=original.get("mm_vision_select_layer", -2),
        vision_feature_select_strategy="full"
        if original.get("mm_vision_select_feature") == "cls_patch"
        else "default",
        image_merge_type=merge_type,
        image_grid_pinpoints=pinpoints,
        tie_word_embeddings=original.get("tie_word_embeddings", False),
    )
    _save(GemForConditionalGeneration, config, weights, report, tokenizer, max_shard_size)
    processor = build_processor(config, tokenizer, LLAVA_V1, image_aspect_ratio=aspect_ratio, compat="gem")
    processor.save_pretrained(output)
    return report


def assemble_gem(
    ecg_encoder: str | Path,
    vision_tower: str | Path,
    language_model: str | Path,
    output: str | Path,
    ecg_projector_type: str = "linear",
    projector_type: str = "mlp2x_gelu",
    max_shard_size: str = "5GB",
    seed: int = 0,
) -> ConversionReport:
    """
    A GEM with new projectors from an ECG-CoCa `.pt` (or a saved `GemEcgModel`), the folder of any Transformers image tower
    with patch tokens, and the folder of any causal language model with a plain head. To be trained before use.

    Raises:
        CheckpointError: A part cannot be used; the message names it.
    """
    report = ConversionReport(str(output))
    ecg_config, tower = read_ecg_coca(ecg_encoder, report)
    language = _load_part(AutoModelForCausalLM, Path(language_model))
    head = language.get_output_embeddings()
    if getattr(head, "bias", None) is not None:
        raise CheckpointError(
            f"{language_model}: its language model head has a bias, which GEM's plain head would lose."
        )
    if language.config.get_text_config() is not language.config:
        raise CheckpointError(
            f"{language_model}: a `{language.config.model_type}` is multimodal; give a text-only model."
        )
    report.sources |= {"language_model": str(language_model), "vision_tower": str(vision_tower), "projectors": "new"}
    weights = {f"model.language_model.{key}": value for key, value in language.base_model.state_dict().items()}
    weights["lm_head.weight"] = head.weight.detach()
    parts = {"ecg_tower": tower, "vision_tower": _vision_weights(Path(vision_tower), report)}
    for name, part in parts.items():
        weights |= {f"model.{name}.{key}": tensor.to(head.weight.dtype) for key, tensor in part.items()}

    tokenizer = AutoTokenizer.from_pretrained(language_model)
    tokenizer.chat_template = multimodal_chat_template(tokenizer.chat_template)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    ecg_token_id, image_token_id = add_placeholders(tokenizer)
    vision_config = _plain_vision_config(Path(vision_tower))
    try:
        config = GemConfig(
            text_config=language.config,
            vision_config=vision_config,
            ecg_config=ecg_config,
            ecg_token_id=ecg_token_id,
            image_token_id=image_token_id,
            ecg_projector_type=ecg_projector_type,
            projector_type=projector_type,
            vision_feature_select_strategy="full" if "siglip" in vision_config.model_type else "default",
            tie_word_embeddings=language.config.tie_word_embeddings,
        )
    except StrictDataclassError as error:
        raise CheckpointError(f"{language_model}, {vision_tower}: no GEM can be made of these. {error}") from error
    if config.tie_word_embeddings:
        weights.pop("lm_head.weight")
    torch.manual_seed(seed)
    for name in ("ecg_projector", "multi_modal_projector"):
        weights |= {f"model.{name}.{key}": value for key, value in new_projector(config, name).items()}
        report.new.append(f"model.{name}")
    _save(GemForConditionalGeneration, config, weights, report, tokenizer, max_shard_size)
    statistics = _image_statistics(Path(vision_tower))
    build_processor(config, tokenizer, tokenizer.chat_template, **statistics).save_pretrained(output)
    return report


def new_projector(config: GemConfig, name: str) -> dict[str, torch.Tensor]:
    """Fresh weights of one of the two projectors."""
    vision_width = config.vision_config.hidden_size
    kind, widths = {
        "ecg_projector": (config.ecg_projector_type, (config.ecg_config.hidden_size, vision_width)),
        "multi_modal_projector": (config.projector_type, (vision_width, config.text_config.hidden_size)),
    }[name]
    projector = GemProjector(kind, *widths, config.projector_hidden_act)
    return projector.to(config.text_config.dtype or torch.float32).state_dict()


def build_processor(
    config: GemConfig,
    tokenizer: Any,
    chat_template: str,
    image_aspect_ratio: str = "ori",
    compat: str | None = None,
    **image_kwargs: Any,
) -> GemProcessor:
    """The processor that fits `config`."""
    vision, ecg = config.vision_config, config.ecg_config
    side = vision.image_size
    if config.image_grid_pinpoints:
        image_kwargs["image_grid_pinpoints"] = config.image_grid_pinpoints
    image_processor = GemImageProcessor(
        image_aspect_ratio=image_aspect_ratio,
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        **image_kwargs,
    )
    class_tokens = config.num_class_tokens if config.vision_feature_select_strategy == "full" else 0
    return GemProcessor(
        image_processor,
        GemFeatureExtractor(num_samples=ecg.seq_length, compat=compat),
        tokenizer,
        chat_template=chat_template,
        num_ecg_tokens=ecg.num_tokens,
        num_image_tokens=(side // vision.patch_size) ** 2 + class_tokens,
        image_merge_type=config.image_merge_type,
        page_layout="gem_12x1" if compat == "gem" else "square_12x1",
        page_size=None if compat == "gem" else [side, side],
        compat=compat,
    )


def add_placeholders(tokenizer: Any) -> tuple[int, int]:
    """Gives `tokenizer` the two placeholders, left padding, and returns the ids of `<ecg>` and `<image>`."""
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<ecg>", "<image>"]}, replace_extra_special_tokens=False
    )
    tokenizer.padding_side = "left"
    tokenizer.init_kwargs["padding_side"] = "left"  # else it is saved only where the source's file names it
    return tokenizer.convert_tokens_to_ids("<ecg>"), tokenizer.convert_tokens_to_ids("<image>")


def _save(
    model_class: type,
    config: PreTrainedConfig,
    weights: dict[str, torch.Tensor],
    report: ConversionReport,
    tokenizer: Any = None,
    max_shard_size: str = "5GB",
) -> None:
    """Puts memory-mapped `weights` into an empty model, which must take them all, and saves it."""
    body = "model.language_model." if model_class is GemForConditionalGeneration else "layers."
    config.dtype = next(tensor.dtype for key, tensor in weights.items() if key.startswith(body))
    with torch.device("meta"):
        model = model_class(config)
    unused_blocks = model._keys_to_ignore_on_load_unexpected or []
    unused = [key for key in weights if any(re.search(pattern, key) for pattern in unused_blocks)]
    report.drop("blocks of the image tower behind the layer that is used", unused)
    weights = {key: tensor for key, tensor in weights.items() if key not in unused}
    wanted = set(model.state_dict())
    if getattr(config, "tie_word_embeddings", False):
        wanted.discard("lm_head.weight")
    missing, leftover = sorted(wanted - set(weights)), sorted(set(weights) - wanted)
    if missing or leftover:
        raise CheckpointError(
            f"{report.output}: not written, the weights do not add up. Missing: {missing or 'none'}. "
            f"Leftover: {leftover or 'none'}."
        )
    try:
        model.load_state_dict(weights, strict=False, assign=True)
    except RuntimeError as error:
        raise CheckpointError(
            f"{report.output}: not written, weights have other shapes than the config says: {error}"
        ) from error
    model.tie_weights()
    if tokenizer is not None:
        model.generation_config = GenerationConfig(
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            suppress_tokens=[config.ecg_token_id, config.image_token_id],
        )
    dtype = config.dtype
    model.save_pretrained(report.output, max_shard_size=max_shard_size)
    # Transformers wrote the type of whichever weight is first; the model is to be loaded in the language model's.
    config.dtype = dtype
    config.save_pretrained(report.output)
    report.converted = len(weights)
    report.num_parameters = sum(tensor.numel() for tensor in weights.values())
    report.save()


def _text_config(original: dict[str, Any]) -> PreTrainedConfig:
    model_type = TEXT_MODEL_TYPES.get(original.get("model_type", ""))
    if model_type is None:
        raise CheckpointError(
            f"model_type {original.get('model_type')!r} is not one of the original layouts {sorted(TEXT_MODEL_TYPES)}."
        )
    prefixes = ("mm_", "ecg_", "image_", "tokenizer_", "tune_", "freeze_", "unfreeze_", "open_clip", "use_mm")
    drop = {"model_type", "architectures", "transformers_version", "_name_or_path", "auto_map"}
    kept = {k: v for k, v in original.items() if k not in drop and not k.startswith(prefixes)}
    return CONFIG_MAPPING[model_type].from_dict(kept)


def _picture_layout(original: dict[str, Any], checkpoint: Path) -> tuple[str, str, list[list[int]] | None]:
    """`image_aspect_ratio`, `image_merge_type` and `image_grid_pinpoints` in our terms."""
    aspect_ratio = original.get("image_aspect_ratio") or "ori"
    merge_type = original.get("mm_patch_merge_type", "flat")
    unknown = {
        "image_aspect_ratio": aspect_ratio if aspect_ratio.startswith("anyres_") else None,
        "mm_patch_merge_type": merge_type if aspect_ratio == "anyres" and merge_type not in MERGE_TYPES else None,
        "mm_use_im_start_end": original.get("mm_use_im_start_end") or None,
    }
    for name, value in unknown.items():
        if value is not None:
            raise CheckpointError(
                f"{checkpoint}: `{name}={value}` in config.json is a picture layout that GEM does not have."
            )
    if aspect_ratio != "anyres":
        # LLaVA's fallback for any other value is the processor's own resize and crop, which the authors call "ori".
        return "pad" if aspect_ratio == "pad" else "ori", "flat", None
    pinpoints = original["image_grid_pinpoints"]
    if isinstance(pinpoints, str):
        pinpoints = ast.literal_eval(pinpoints)
    # The original writes (width, height).
    return "anyres", merge_type, [[height, width] for width, height in pinpoints]


def _find_vision_tower(checkpoint: Path, original: dict[str, Any], given: str | Path | None) -> Path | None:
    if given is not None:
        if not (Path(given) / "config.json").is_file():
            raise CheckpointError(f"{given}: no config.json; `--vision-tower` takes the folder of the CLIP model.")
        return Path(given)
    name = original.get("mm_vision_tower") or ""
    candidates = [folder / name for folder in (checkpoint, *list(checkpoint.resolve().parents)[:2])]
    return next((folder for folder in candidates if name and (folder / "config.json").is_file()), None)


def _vision_config(original: dict[str, Any], folder: Path | None, checkpoint: Path) -> PreTrainedConfig:
    if folder is not None:
        return _plain_vision_config(folder)
    name = str(original.get("mm_vision_tower"))
    match = re.search(r"clip-vit-(base|large)-patch(\d+)(?:-(\d+))?", name)
    if match is None:
        raise CheckpointError(
            f"{checkpoint}: the image tower {name!r} is not described in the checkpoint and not a known CLIP model. Give its "
            "folder (config.json at least) with `--vision-tower DIR`."
        )
    hidden, intermediate, layers, heads = OPENAI_CLIP[match.group(1)]
    return CONFIG_MAPPING["clip_vision_model"](
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        patch_size=int(match.group(2)),
        image_size=int(match.group(3) or 224),
    )


def _plain_vision_config(folder: Path) -> PreTrainedConfig:
    config = AutoConfig.from_pretrained(folder)
    config = getattr(config, "vision_config", config)
    if hasattr(config, "vision_use_head"):
        config.vision_use_head = False
    return config


def _vision_weights(folder: Path, report: ConversionReport) -> dict[str, torch.Tensor]:
    """The image tower's weights without any head, of a tower or of a two-tower model."""
    model = _load_part(AutoModel, folder)
    tower = getattr(model, "vision_model", model)
    weights = {key: tensor for key, tensor in tower.state_dict().items() if not key.startswith("head.")}
    used = {id(tensor) for tensor in tower.state_dict(keep_vars=True).values()}
    others = [key for key, tensor in model.state_dict(keep_vars=True).items() if id(tensor) not in used]
    report.drop("weights beside the image tower, which GEM does not use", others)
    return weights


def _load_part(auto_class: Any, folder: Path) -> PreTrainedModel:
    """A saved model whose files hold all of its weights: Transformers would make missing ones up, with a warning only."""
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder}: no config.json; give the folder of a saved Transformers model.")
    for _ in read_weights(folder):  # names an absent or damaged file
        pass
    try:
        model, info = auto_class.from_pretrained(folder, dtype="auto", output_loading_info=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{folder}: Transformers cannot load this model ({error}).") from error
    missing = sorted(key for key in info["missing_keys"] if not UNUSED_PARTS.search(key))
    leftover = sorted(key for key in info["unexpected_keys"] if not UNUSED_PARTS.search(key))
    if missing or leftover:
        raise CheckpointError(
            f"{folder}: the weights do not add up. Missing: {missing or 'none'}. Leftover: {leftover or 'none'}."
        )
    return model


def _image_statistics(folder: Path) -> dict[str, Any]:
    file = folder / "preprocessor_config.json"
    settings = json.loads(file.read_text()) if file.is_file() else {}
    return {key: settings[key] for key in ("image_mean", "image_std") if key in settings}


def _original_tokenizer(checkpoint: Path, text_config: PreTrainedConfig) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, config=text_config)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token
    return tokenizer


__all__ = [
    "ConversionReport",
    "assemble_gem",
    "convert_ecg_coca",
    "convert_original_checkpoint",
]
