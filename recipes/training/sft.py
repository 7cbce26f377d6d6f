# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Supervised fine-tuning with TRL, towers frozen, on any data set with `messages`, `ecg` and optionally `image`.

gem train recipes/configs/sft_lora.yaml
python -m recipes.training.sft --config recipes/configs/sft_lora.yaml
torchrun --nproc_per_node 2 -m recipes.training.sft --config recipes/configs/sft_lora.yaml
accelerate launch --config_file recipes/configs/accelerate/fsdp2.yaml -m recipes.training.sft --config recipes/configs/sft_full.yaml
"""

if __name__ == "__main__":  # before what may not be installed
    from recipes.console import run_module

    run_module("recipes.training.sft")

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import datasets
import torch
from accelerate import PartialState
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    BitsAndBytesConfig,
    PreTrainedModel,
    ProcessorMixin,
    TrainingArguments,
)
from transformers.integrations import is_deepspeed_zero3_enabled
from trl import DPOConfig, GRPOConfig, ModelConfig, SFTConfig, TrlParser, get_peft_config, get_quantization_config

import modeling_gem  # noqa: F401 (registers GEM)
from processing.chat_gem import MODALITIES, Modality
from processing.errors_gem import TrainingError
from processing.extras_gem import require
from recipes.dataset.schema import PageStyleChoice, is_built, with_transform
from recipes.models import check_chat_template, checkpoint_errors

from .checkpoints import train_and_save
from .checks import check_columns, check_first_batch, check_messages, check_vocabulary, null_count, with_lengths
from .collator import GemDataCollator
from .published import is_published, published_dataset
from .samples import SampleWriter
from .towers import TowerRates, freeze_towers, towers_to_train
from .trainer import GemSFTTrainer, keep_trained_in_float32, parse_settings

if TYPE_CHECKING:
    from peft import PeftConfig

PROJECTORS = ["multi_modal_projector", "ecg_projector"]
# Only the language model is quantised: the rest is small, and the projectors are trained.
NOT_QUANTISED = ["model.vision_tower", "model.ecg_tower", *(f"model.{name}" for name in PROJECTORS), "lm_head"]


@dataclass
class DataArguments:
    """The arguments that every method has: the training data, and which towers are trained."""

    dataset: str = field(
        metadata={
            "help": "Folder written by `save_to_disk`, a data set for `load_dataset`, or the JSON of a published set "
            "(ECG-Grounding, ECGInstruct with `ecg`)."
        }
    )
    ecg_files: list[str] = field(
        default_factory=list,
        metadata={"help": "For a published JSON: PREFIX=FOLDER, the beginning of its ECG paths and the local folder."},
    )
    image_folder: str | None = field(
        default=None, metadata={"help": "For a published JSON: folder of its pictures. Without it pages are drawn."}
    )
    train_split: str = field(default="train", metadata={"help": "Split to train on."})
    eval_split: str = field(
        default="validation", metadata={"help": "Split to evaluate on, if evaluation is asked for."}
    )
    both: float = field(default=1.0, metadata={"help": "Weight of samples that keep signal and picture."})
    signal: float = field(default=0.0, metadata={"help": "Weight of samples that keep the signal only."})
    image: float = field(default=0.0, metadata={"help": "Weight of samples that keep the picture only."})
    image_only: bool = field(default=False, metadata={"help": "Allow samples without an ECG."})
    train_towers: str = field(
        default="none", metadata={"help": "Towers to train too: none (as the paper), ecg, vision or both."}
    )
    ecg_tower_learning_rate: float | None = field(
        default=None, metadata={"help": "Learning rate of the ECG tower, if it is trained; default: `learning_rate`."}
    )
    vision_tower_learning_rate: float | None = field(
        default=None,
        metadata={"help": "Learning rate of the image tower, if it is trained; default: `learning_rate`."},
    )

    @property
    def modality_mix(self) -> dict[Modality, float]:
        """Weights by modality, as `GemDataCollator` takes them."""
        return {name: weight for name in MODALITIES if (weight := getattr(self, name))}

    @property
    def trained_towers(self) -> tuple[str, ...]:
        """The towers that are trained, by name."""
        return towers_to_train(self.train_towers)

    @property
    def tower_learning_rates(self) -> dict[str, float]:
        """Of the towers with one of their own.

        Raises:
            TrainingError: the tower is not trained.
        """
        given = {"ecg": self.ecg_tower_learning_rate, "vision": self.vision_tower_learning_rate}
        rates = {name: rate for name, rate in given.items() if rate is not None}
        if idle := [name for name in rates if name not in self.trained_towers]:
            raise TrainingError(
                f"`{idle[0]}_tower_learning_rate` is given, but `train_towers: {self.train_towers}` freezes that tower."
            )
        return rates

    def page_to_draw(self) -> PageStyleChoice | None:
        """The page of rows without a picture: those of a published JSON, unless its pictures are here."""
        return PageStyleChoice() if is_published(Path(self.dataset)) and self.image_folder is None else None

    def check_towers(self, model_config: ModelConfig) -> None:
        """Checks the settings of the towers against each other.

        Raises:
            TrainingError: a rate of a tower that is not trained, or towers beside an adapter, which would leave them frozen.
        """
        rates = self.tower_learning_rates
        if (rates or self.trained_towers) and model_config.use_peft:
            raise TrainingError(
                "`train_towers` trains whole towers, and with `use_peft` only adapters are trained and saved. Leave one of "
                "them out, or name layers of the towers in `lora_target_modules`."
            )


@dataclass
class GemScriptArguments(DataArguments):
    """Arguments besides those of `SFTConfig` and `ModelConfig`."""

    global_batch_size: int | None = field(
        default=None,
        metadata={
            "help": "Samples per step on all devices together; sets the number of accumulation steps accordingly."
        },
    )
    generated_samples: int = field(
        default=0, metadata={"help": "Number of samples to answer after each evaluation, see OUTPUT_DIR/samples."}
    )
    generated_tokens: int = field(default=256, metadata={"help": "Longest generated sample."})


def parse(arguments: Sequence[str] | None = None) -> tuple[GemScriptArguments, SFTConfig, ModelConfig]:
    """
    Command line (that of the process if `None`) and `--config FILE`; the line wins.

    Raises:
        TrainingError: A setting that does not exist or does not fit the others.
    """
    parser = TrlParser((GemScriptArguments, SFTConfig, ModelConfig))
    # TRL's 1024 would be shorter than two pictures; only who asks for a limit gets one.
    parser.set_defaults(max_length=None, assistant_only_loss=None)
    script, training, model_config = parse_settings(parser, arguments)
    if training.assistant_only_loss is False:
        raise TrainingError(
            "`assistant_only_loss: false` is not possible: GEM is trained on answers only. Leave it out."
        )
    script.check_towers(model_config)
    # The collator masks the questions; TRL need not.
    training.assistant_only_loss = False
    training.dataset_kwargs = {"skip_prepare_dataset": True}
    if training.ddp_find_unused_parameters is None:
        # Absent modalities run on zeros, so that nothing is unused but what trained towers hold beyond the used layer.
        training.ddp_find_unused_parameters = bool(script.trained_towers)
    if script.global_batch_size is not None:
        per_pass = training.per_device_train_batch_size * max(training.world_size, 1)
        if script.global_batch_size % per_pass:
            raise TrainingError(
                f"`global_batch_size` {script.global_batch_size} is not a multiple of {per_pass}, what one pass takes "
                f"({training.world_size} device(s) x `per_device_train_batch_size` {training.per_device_train_batch_size})."
            )
        training.gradient_accumulation_steps = script.global_batch_size // per_pass
    return script, training, model_config


def load_splits(script: DataArguments, names: list[str]) -> dict[str, datasets.Dataset]:
    """The named splits, signals as arrays; those of `gem build-dataset` with pages drawn as they are needed.

    Raises:
        TrainingError: An absent data set, split or column.
    """
    if is_published(Path(script.dataset)):
        return published_splits(script, names)
    splits = {}
    for name in names:
        split = load_split(script.dataset, name, only=script.train_split)
        if is_built(split):
            splits[name] = with_transform(split)
            continue
        check_columns(split, f"{script.dataset}[{name}]", script.image_only)
        # Where some rows have no ECG, NumPy's format would make one of NaN for them.
        all_have = "ecg" in split.column_names and not null_count(split, "ecg")
        splits[name] = split.with_format("numpy", columns=["ecg"], output_all_columns=True) if all_have else split
    return splits


def load_split(dataset: str, name: str, only: str = "train") -> datasets.Dataset:
    """One split as it is stored, without transforms.

    Args:
        dataset: a folder of `save_to_disk`, or anything that `load_dataset` opens.
        name: of the split.
        only: name to use for the split of a folder that holds a single one without a name.

    Raises:
        TrainingError: there is no data set, or no such split.
    """
    source = Path(dataset)
    try:
        saved = any((source / file).is_file() for file in ("dataset_dict.json", "state.json"))
        loaded = datasets.load_from_disk(source) if saved else datasets.load_dataset(dataset)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{dataset}: no data set there ({error}).") from error
    if isinstance(loaded, datasets.Dataset):
        loaded = {only: loaded}
    if name not in loaded:
        raise TrainingError(f"{dataset}: no split {name!r}, there are {sorted(loaded)}.")
    return loaded[name]


def published_splits(script: DataArguments, names: list[str]) -> dict[str, datasets.Dataset]:
    """The one split of a published JSON.

    Raises:
        TrainingError: A malformed `ecg_files`, another split than `train_split`, or no row whose files are here.
    """
    if not all("=" in mapping for mapping in script.ecg_files):
        raise TrainingError(
            f"`ecg_files` takes PREFIX=FOLDER, such as mimic-iv=/data/mimic-iv-ecg; got {script.ecg_files}."
        )
    if names != [script.train_split]:
        raise TrainingError(f'{script.dataset}: a published JSON is one split; set `eval_strategy: "no"`.')
    files = dict(mapping.split("=", 1) for mapping in script.ecg_files)
    return {script.train_split: published_dataset(Path(script.dataset), files, script.image_folder)}


def quantization_config(model_config: ModelConfig) -> BitsAndBytesConfig | None:
    """
    Of QLoRA: the language model in 4 (or 8) bit, all else as it is.

    Raises:
        TrainingError: No adapter to train on top of quantised weights, or no GPU.
        MissingDependencyError: bitsandbytes is absent.
    """
    config = get_quantization_config(model_config)
    if config is None:
        return None
    if not model_config.use_peft:
        raise TrainingError(
            "Quantised weights cannot be trained: set `use_peft: true` (QLoRA), or drop `load_in_4bit`."
        )
    if not torch.cuda.is_available():
        raise TrainingError(
            "QLoRA (`load_in_4bit`, `load_in_8bit`) needs a CUDA device and none is visible. Use LoRA on this machine: "
            "recipes/configs/sft_lora.yaml."
        )
    require("bitsandbytes", "QLoRA")
    config.llm_int8_skip_modules = NOT_QUANTISED
    return config


def load_model(model_config: ModelConfig, trust_remote_code: bool = False) -> PreTrainedModel:
    """The GEM to train, quantized if the settings say so.

    Raises:
        CheckpointError: the folder or id holds no GEM that loads.
    """
    quantization = quantization_config(model_config)
    with checkpoint_errors(model_config.model_name_or_path):
        model = AutoModelForImageTextToText.from_pretrained(
            model_config.model_name_or_path,
            revision=model_config.model_revision,
            dtype=model_config.dtype or "float32",
            attn_implementation=model_config.attn_implementation,
            trust_remote_code=trust_remote_code,
            quantization_config=quantization,
            device_map={"": PartialState().local_process_index} if quantization else None,
        )
    if is_deepspeed_zero3_enabled():
        # There Transformers keeps every renaming, used or not, and saving applies them backwards: weights under foreign names.
        model._weight_conversions = [renaming for renaming in model._weight_conversions or () if renaming.was_used()]
    return model


def load_processor(training: SFTConfig | GRPOConfig | DPOConfig, model_config: ModelConfig) -> ProcessorMixin:
    """
    That of the model, with the chat template of `chat_template_path` if there is one.

    Raises:
        TrainingError: The template is not a Jinja file.
        CheckpointError: Files of the model, or the template, cannot be used.
    """
    with checkpoint_errors(model_config.model_name_or_path):
        processor = AutoProcessor.from_pretrained(
            model_config.model_name_or_path,
            revision=model_config.model_revision,
            trust_remote_code=training.trust_remote_code,
        )
    template = getattr(training, "chat_template_path", None)
    if template is not None:
        if Path(template).suffix not in (".jinja", ".j2") or not Path(template).is_file():
            raise TrainingError(f"`chat_template_path` must be a Jinja file (.jinja, .j2), got {template}.")
        processor.chat_template = Path(template).read_text(encoding="utf-8")
    check_chat_template(processor, template or model_config.model_name_or_path)
    return processor


def adapter_config(model: PreTrainedModel, model_config: ModelConfig) -> "PeftConfig | None":
    """LoRA on every linear layer of the language model by default; projectors are trained as a whole."""
    if not model_config.use_peft:
        return None
    if not model_config.lora_target_modules:
        model_config.lora_target_modules = language_model_linears(model)
    model_config.lora_modules_to_save = model_config.lora_modules_to_save or PROJECTORS
    return get_peft_config(model_config)


def language_model_linears(model: PreTrainedModel) -> str:
    """A pattern, since bare names such as `q_proj` are layers of both towers too."""
    modules = model.model.language_model.named_modules()
    names = {name.rsplit(".", 1)[-1] for name, module in modules if isinstance(module, torch.nn.Linear)}
    return rf"model\.language_model\..*\.({'|'.join(sorted(names))})"


def is_evaluated(training: TrainingArguments) -> bool:
    """Whether there is an evaluation during training."""
    return str(getattr(training.eval_strategy, "value", training.eval_strategy)) != "no"


def model_to_train(
    script: DataArguments,
    training: SFTConfig | GRPOConfig | DPOConfig,
    model_config: ModelConfig,
    processor: ProcessorMixin,
) -> PreTrainedModel:
    """The model, checked against the processor's vocabulary, with only the chosen towers trainable.

    Raises:
        CheckpointError: Model and processor do not belong together.
    """
    torch.manual_seed(training.seed)
    model = load_model(model_config, training.trust_remote_code)
    check_vocabulary(model, processor)
    freeze_towers(model, script.trained_towers)
    return model


def set_rates_and_precision(trainer: TowerRates, script: DataArguments) -> None:
    """Sets the towers' learning rates, and float32 for the trained weights of a model in half precision."""
    trainer.tower_learning_rates = script.tower_learning_rates
    half = trainer.args.bf16 or trainer.args.fp16
    if half and not trainer.is_deepspeed_enabled:  # which keeps a float32 copy of its own
        keep_trained_in_float32(trainer.model)


def build_trainer(script: GemScriptArguments, training: SFTConfig, model_config: ModelConfig) -> GemSFTTrainer:
    """
    The trainer, ready for the first step, after all checks that are possible before it.

    Raises:
        GemError: The data, the checkpoint or the settings have an error.
    """
    evaluates = is_evaluated(training)
    splits = load_splits(script, [script.train_split, *([script.eval_split] if evaluates else [])])
    if any(is_built(split) for split in splits.values()):
        # A Trainer drops columns before the transform could make `ecg` of them.
        training.remove_unused_columns = False
    processor = load_processor(training, model_config)
    collator = GemDataCollator(
        processor,
        assistant_only_loss=True,
        modality_mix=script.modality_mix,
        image_only=script.image_only,
        max_length=training.max_length,
        pad_to_multiple_of=training.pad_to_multiple_of,
        mix_seed=training.seed,
        page=script.page_to_draw(),
    )
    for name, split in splits.items():
        check_messages(split, f"{script.dataset}[{name}]", processor)
        check_first_batch(split, collator)
    if training.train_sampling_strategy in ("group_by_length", "batch_rebalance"):
        column, workers = training.length_column_name, training.dataset_num_proc
        for name, split in splits.items():
            if column not in split.column_names:
                splits[name] = with_lengths(split, processor, column, workers, collator.page)

    model = model_to_train(script, training, model_config, processor)
    trainer = GemSFTTrainer(
        model=model,
        args=training,
        train_dataset=splits[script.train_split],
        eval_dataset=splits.get(script.eval_split) if evaluates else None,
        processing_class=processor,
        peft_config=adapter_config(model, model_config),
        data_collator=collator,
    )
    set_rates_and_precision(trainer, script)
    if evaluates and script.generated_samples:
        writer = SampleWriter(trainer, splits[script.eval_split], script.generated_samples, script.generated_tokens)
        trainer.add_callback(writer)
    return trainer


def main(arguments: Sequence[str] | None = None) -> GemSFTTrainer:
    """Trains by the settings, from the last checkpoint of OUTPUT_DIR with `resume_from_checkpoint: true`, and saves the result."""
    script, training, model_config = parse(arguments)
    trainer = build_trainer(script, training, model_config)
    train_and_save(trainer)
    return trainer
