# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Prepares the embedded model: instruction data from PTB-XL, a tokenizer, and a GEM assembled from trained towers.

    python -m recipes.embedded.tiny data --ptbxl PTBXL --output outputs/tiny_data --text-only \\
        --soft outputs/soft_statements.json --labels outputs/tiny_labels
    python -m recipes.embedded.tiny assemble --ecg-tower outputs/ecg_tower --vision-tower outputs/vision_tower \\
        --data outputs/tiny_data --soft outputs/soft_statements.json --output outputs/tiny_start
    python -m recipes.embedded.tiny states --ptbxl PTBXL --model outputs/tiny_start --output outputs/tiny_states
    python -m recipes.embedded.sft_cached --config recipes/configs/sft_tiny.yaml
    ...
    python -m recipes.embedded.tiny finish --parts outputs/tiny_sft_1 --parts ... --scores outputs/scores.json \\
        --grounding outputs/grounding --ecg-tower outputs/ecg_tower --vision-tower outputs/vision_tower --data outputs/tiny_data

`recipes/embedded/reproduce.py` runs all of it, the training of towers and language model included; with `--dry-run` it prints every
command.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from datasets import Array2D, Dataset, DatasetDict, Features, Image, List, Value, load_from_disk
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm
from transformers import CLIPVisionModel, LlamaConfig, PreTrainedTokenizerFast

from modeling_gem import GemConfig, GemEcgModel, GemForConditionalGeneration, GemProcessor, default_checkpoint
from modeling_gem.chat_templates import PLAIN
from modeling_gem.gem_parts import build_processor
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_page import render_ecg
from processing.feature_extraction_gem import GemFeatureExtractor
from recipes.console import run_script
from recipes.files import atomic_folder
from recipes.publishing.model_card import Training, model_card
from recipes.scores import evaluation_tables, ptbxl_scores
from recipes.sources.ptbxl import TRAIN_FOLDS, VALIDATION_FOLD, PtbxlItem, read_ptbxl
from recipes.teachers.grounded_answer import CLASS_NAMES, QUESTIONS, answer_to, grounded_answer

from .records import training_items
from .reproduce import PARTS
from .second_opinions import SecondReader
from .states import MODALITIES, TowerStates, run_towers
from .towers import PAGE_MEAN, PAGE_STD, PageAugmentation

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, help="Prepare the embedded model."
)
EMBEDDED = default_checkpoint()
PtbxlOption = Annotated[Path, typer.Option(help="PTB-XL: its folder as published, or Parquet files.")]
FolderOption = Annotated[Path, typer.Option()]
OutputOption = Annotated[Path, typer.Option(help="Folder to write.")]
SoftOption = Annotated[Path, typer.Option(help="What recipes/embedded/second_opinions.py wrote.")]
SeedOption = Annotated[int, typer.Option()]

SPECIAL_TOKENS = ["<pad>", "<s>", "</s>", "<ecg>", "<image>"]
FEATURES = Features(
    {
        "id": Value("string"),
        "ecg": Array2D((12, 5000), "float32"),
        "sampling_rate": Value("float32"),
        "image": Image(),
        "messages": List({"role": Value("string"), "content": Value("string")}),
    }
)
TEXT_FEATURES = Features({name: FEATURES[name] for name in ("id", "messages")} | {"length": Value("int32")})
# The full interpretation is the product; a short question comes with half of them.
SHORT_QUESTION_SHARE = 0.5
# What stays a token of its own: leads, digits (numbers are spelled, not memorised), yes and no (their odds are read), and
# the end of a question. All between them may grow together, so that an answer has half as many tokens.
PIECES = r" V[1-6]\b| aV[RLF]\b| I{1,3}\b| yes\b| no\b|\d|\n"


def rows(folder: Path, image_size: int, seed: int, training: bool) -> Iterator[dict[str, Any]]:
    """The samples of every record with its signal and page."""
    rng = np.random.default_rng(seed)
    for item in read_ptbxl(folder, TRAIN_FOLDS if training else (VALIDATION_FOLD,)):
        shown = readings(item, None, rng, training)
        yield from samples(item, extract_features(item.record), shown, rng, media_columns(item, image_size))


def text_rows(
    items: Iterable[PtbxlItem], second_readers: Sequence[SecondReader | None], seed: int, training: bool
) -> tuple[list[dict[str, Any]], ...]:
    """Samples without signals and pages for each of `second_readers` (None: as labelled alone); all is measured once."""
    found: tuple[list[dict[str, Any]], ...] = tuple([] for _ in second_readers)
    rngs = [np.random.default_rng(seed) for _ in second_readers]
    for item in items:
        features = extract_features(item.record)
        for into, reader, rng in zip(found, second_readers, rngs, strict=True):
            into.extend(samples(item, features, readings(item, reader, rng, training), rng))
    return found


def samples(
    item: PtbxlItem,
    features: EcgFeatures,
    shown: Sequence[PtbxlItem],
    rng: np.random.Generator,
    media: dict[str, Any] | None = None,
) -> Iterator[dict[str, Any]]:
    """Per reading a full interpretation and at times a short question, each its own sample."""
    short = [kind for kind in QUESTIONS if kind != "full_text"]
    for reading in shown:
        answer = grounded_answer(features, reading.codes)
        kinds = ["full_text"] + ([str(rng.choice(short))] if rng.random() < SHORT_QUESTION_SHARE else [])
        for kind in kinds:
            questions = QUESTIONS[kind]
            # Half of the interpretations answer the default question.
            first = kind == "full_text" and rng.random() < 0.5
            question = questions[0] if first else questions[int(rng.integers(len(questions)))]
            yield sample(item, question, answer_to(kind, answer), media or {})


def readings(
    item: PtbxlItem, second_reader: SecondReader | None, rng: np.random.Generator, training: bool
) -> list[PtbxlItem]:
    """
    As labelled, once to validate with. To train with also as the second reader has it; without one, again as labelled where
    there is a rare finding.
    """
    if not training:
        return [item]
    if second_reader is not None:
        second = second_reader(item)
        return [item] if second is None else [item, second]
    some = bool(item.superclasses & {"MI", "STTC", "CD"}) and rng.random() < 0.5
    return [item] * (1 + int("HYP" in item.superclasses) + int(some))


def sample(item: PtbxlItem, question: str, answer: str, media: dict[str, Any]) -> dict[str, Any]:
    """A row of the training data: id, question, answer, and signal and page or the answer's length."""
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"id": item.record.record_id, "messages": messages} | (media or {"length": len(answer)})


def media_columns(item: PtbxlItem, image_size: int) -> dict[str, Any]:
    """Signal `(leads, samples)` in mV with NaN as 0, its rate in Hz, and a square page."""
    return {
        "ecg": np.nan_to_num(item.record.signal),
        "sampling_rate": item.record.sampling_rate,
        "image": render_ecg(item.record, layout="square_12x1", size=(image_size, image_size)).to_pil(),
    }


@app.command()
def data(
    ptbxl: PtbxlOption,
    output: OutputOption,
    image_size: Annotated[int, typer.Option(help="Edge of the drawn pages in pixels.")] = 336,
    text_only: Annotated[
        bool,
        typer.Option(
            "--text-only",
            help="No signals and pages, but recorded again and simulated ECGs too: for kept tower states.",
        ),
    ] = False,
    soft: Annotated[
        Path | None,
        typer.Option(
            help="What recipes/embedded/second_opinions.py wrote: every record a second time, as other networks read it."
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="With --text-only: folder for the same as labelled alone.")
    ] = None,
    seed: SeedOption = 0,
) -> None:
    """Write the instruction data."""
    if text_only:
        build_texts(ptbxl, output, seed, soft, labels)
    elif soft or labels:
        raise typer.BadParameter("--soft and --labels go with --text-only")
    else:
        build_data(ptbxl, output, image_size, seed)


def build_data(ptbxl: Path, output: Path, image_size: int, seed: int) -> None:
    """Writes the training and validation splits, drawn pages included, to `output`."""
    settings = {"folder": ptbxl, "image_size": image_size, "seed": seed}
    save_splits(
        {
            name: Dataset.from_generator(rows, features=FEATURES, gen_kwargs=settings | {"training": name == "train"})
            for name in ("train", "validation")
        },
        output,
    )


def build_texts(ptbxl: Path, output: Path, seed: int, soft: Path | None, labels: Path | None) -> None:
    """Texts for kept tower states: with `soft` every record also as other networks read it, to `labels` without that."""
    outputs = {output: SecondReader.load(soft) if soft else None} | ({labels: None} if labels else {})
    items = {"train": training_items(ptbxl, seed), "validation": read_ptbxl(ptbxl, (VALIDATION_FOLD,))}
    readers = list(outputs.values())
    splits = {name: text_rows(of_split, readers, seed, name == "train") for name, of_split in items.items()}
    for number, folder in enumerate(outputs):
        texts = {name: Dataset.from_list(found[number], features=TEXT_FEATURES) for name, found in splits.items()}
        save_splits(texts, folder)


def save_splits(splits: dict[str, Dataset], output: Path) -> None:
    """Writes the splits as one folder, which appears when it is complete."""
    with atomic_folder(output) as part:
        DatasetDict(splits).save_to_disk(part)


class TowerInputs(IterableDataset):
    """The training records as batches: `ids`, `ecg_values` and `pixel_values` (pages in various light)."""

    def __init__(self, ptbxl: Path, seed: int, image_size: int, batch_size: int = 32):
        self.ptbxl, self.seed, self.size, self.batch_size = ptbxl, seed, (image_size, image_size), batch_size

    def __iter__(self) -> Iterator[dict[str, Any]]:
        extract, light = GemFeatureExtractor(), PageAugmentation(training=True)
        items = iter(training_items(self.ptbxl, self.seed))
        while batch := list(islice(items, self.batch_size)):
            pages = [render_ecg(item.record, layout="square_12x1", size=self.size).pixels for item in batch]
            signals = np.stack([extract(item.record)["ecg_values"][0] for item in batch])
            yield {
                "ids": [str(item.record.record_id) for item in batch],
                "ecg_values": torch.from_numpy(signals),
                "pixel_values": light([{"values": pixels} for pixels in pages])["values"],
            }


@app.command("states")
def build_states(
    ptbxl: PtbxlOption,
    model: Annotated[Path, typer.Option(help="Folder that assemble wrote.")],
    output: OutputOption,
    seed: SeedOption = 0,
) -> None:
    """Run the towers once over the training records; a process beside this one draws and measures them."""
    torch.manual_seed(seed)
    network = GemForConditionalGeneration.from_pretrained(model, dtype=torch.float32).eval()
    inputs = TowerInputs(ptbxl, seed, network.config.vision_config.image_size)
    ids, states = [], []
    for batch in tqdm(DataLoader(inputs, batch_size=None, num_workers=1)):
        ids += batch.pop("ids")
        states += [{name: state.half() for name, state in one.items()} for one in run_towers(network, [batch])]
    TowerStates(ids, **{name: torch.cat([batch[name] for batch in states]).numpy() for name in MODALITIES}).save(
        output
    )


def train_tokenizer(texts: list[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE on the training texts, across words but not across `PIECES`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=20,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        padding_side="left",
        model_max_length=1024,
        additional_special_tokens=["<ecg>", "<image>"],
    )


def yes_bias(tokenizer: PreTrainedTokenizerFast, limits: Mapping[str, float]) -> list[list[Any]]:
    """
    `sequence_bias` of a generation config: "yes" is written behind a superclass from its limit (`second_reading.best_limits`)
    on, not from one half. Not for the first, "Normal", whose limit is near one half, and whose line begins in many ways.
    """
    _, *findings = CLASS_NAMES.items()
    ids = [tokenizer.encode(f". {name}: yes", add_special_tokens=False) for _, name in findings]
    odds = [(1 - limits[code]) / limits[code] for code, _ in findings]
    return [[tokens, round(math.log(odd), 3)] for tokens, odd in zip(ids, odds, strict=True)]


@app.command()
def assemble(
    ecg_tower: FolderOption,
    vision_tower: FolderOption,
    data: FolderOption,
    soft: SoftOption,
    output: OutputOption,
    vocab_size: Annotated[int, typer.Option()] = 2048,
    seed: SeedOption = 0,
) -> None:
    """Put towers, tokenizer and a fresh language model together, and a processor."""
    torch.manual_seed(seed)
    messages = load_from_disk(str(data))["train"]["messages"]
    texts = [f"{message['content']}" for conversation in messages for message in conversation]
    tokenizer = train_tokenizer(texts, vocab_size)
    signal, picture = GemEcgModel.from_pretrained(ecg_tower), CLIPVisionModel.from_pretrained(vision_tower)
    config = GemConfig(
        ecg_config=signal.config,
        vision_config=picture.config,
        text_config=LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=256,
            intermediate_size=768,
            num_hidden_layers=4,
            num_attention_heads=8,
            num_key_value_heads=4,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        ),
        ecg_token_id=tokenizer.convert_tokens_to_ids("<ecg>"),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        # The image tower was trained as deep as it is.
        vision_feature_layer=-1,
    )
    model = GemForConditionalGeneration(config)
    model.model.ecg_tower.load_state_dict(signal.state_dict())
    model.model.vision_tower.load_state_dict(picture.state_dict())
    model.generation_config.update(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        suppress_tokens=[config.ecg_token_id, config.image_token_id],
        max_new_tokens=256,
        sequence_bias=yes_bias(tokenizer, SecondReader.load(soft).limits),
    )
    model.save_pretrained(output)
    build_processor(config, tokenizer, PLAIN, image_mean=list(PAGE_MEAN), image_std=list(PAGE_STD)).save_pretrained(
        output
    )
    size = sum(parameter.numel() for parameter in model.parameters())
    print(f"{size / 1e6:.1f} M parameters, vocabulary {model.get_input_embeddings().num_embeddings}")


@app.command()
def finish(
    parts: Annotated[list[Path], typer.Option(help="Folders of the training's parts, in order; repeatable.")],
    scores: FolderOption,
    grounding: FolderOption,
    ecg_tower: FolderOption,
    vision_tower: FolderOption,
    data: FolderOption,
    output: OutputOption = EMBEDDED,
) -> None:
    """Save the model of the last part in bfloat16, with its processor and a card filled from the measured scores."""
    model = GemForConditionalGeneration.from_pretrained(parts[-1], dtype=torch.bfloat16)
    for tower in (model.config.ecg_config, model.config.vision_config):
        tower.name_or_path = ""  # folders of the machine it was trained on
    model.save_pretrained(output)
    GemProcessor.from_pretrained(parts[-1]).save_pretrained(output)
    towers = [json.loads((path / "pretraining.json").read_text()) for path in (ecg_tower, vision_tower)]
    aucs = [tower["scores"]["eval_auc_superclasses"] for tower in towers]
    soft = (
        " and what other networks find likely in them (`recipes/embedded/second_opinions.py`)"
        if towers[0].get("soft")
        else ""
    )
    first, *labelled = (json.loads((part / "training_log.json").read_text())[-1]["step"] for part in parts)
    weights = [part.finding_weight for part in PARTS[1:]]
    heavy = sum(steps for steps, weight in zip(labelled, weights, strict=True) if weight != 1)
    ids = set(load_from_disk(str(data))["train"]["id"])
    simulated = sum(name.startswith("simulated/") for name in ids)
    records = len({name.partition("#")[0] for name in ids}) - simulated
    stages = [
        f"`recipes/embedded/towers.py`: each tower learns SCP statements and measurements of {records} PTB-XL records "
        f"(folds 1-8), the signal tower also where the waves are and which voltages{soft}, and from simulated ECGs; superclass "
        f"AUC on fold 9: signal {aucs[0]:.3f}, picture {aucs[1]:.3f}.",
        f"`recipes/embedded/tiny.py`: the same records as they are and recorded again, and {simulated} simulated ECGs; "
        "answers written from measured features and labels, a tokenizer, and what the frozen towers say about each.",
        f"`recipes/embedded/sft_cached.py`, TRL's `SFTTrainer`: {first} steps on projectors and language model, every record as "
        "labelled and as networks read it that never saw it (`recipes/embedded/second_opinions.py`), batches of both inputs or one of "
        f"them; then {sum(labelled)} steps on the labels alone, in the last {heavy} of them with every yes and no as "
        f"heavy as {weights[-1]} words.",
        "`sequence_bias` of the generation config: from which likelihood on a superclass is stated, chosen on folds 1-8.",
        "`python -m recipes.embedded.reproduce` does all of it.",
    ]
    card = model_card(
        output,
        name="gem-ecg-tiny",
        summary="The small GEM that comes with gem-ecg: it shows that everything works, end to end, on a laptop. It is not "
        "accurate enough to rely on.",
        datasets=["PTB-XL"],
        tables=[
            ptbxl_scores(json.loads(scores.read_text())),
            *evaluation_tables(
                json.loads((grounding / "report.json").read_text()),
                "gem eval grounding PTBXL --model tiny -o outputs/grounding",
            ),
        ],
        training=Training(stages),
        writes="rhythm, rate, PR, QRS, QT, QTc, axis, ST and T changes, Q waves, voltage, the five PTB-XL superclasses as "
        "yes or no, and an impression",
        limits=[
            "Other questions than those of `recipes/teachers/grounded_answer.py` get answers of little worth.",
            "Photographs hardly resemble the drawn pages (`square_12x1`) that it learned from.",
        ],
    )
    card.save(output / "README.md")


if __name__ == "__main__":
    run_script(app)
