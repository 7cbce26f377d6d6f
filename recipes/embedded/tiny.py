# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Prepares the embedded model: conversations, a tokenizer, a GEM assembled from trained towers, and what these see.

    python -m recipes.embedded.tiny data --corpus outputs/records --corpus outputs/again --output outputs/data
    python -m recipes.embedded.tiny prompts --corpus outputs/records --output outputs/prompts
    python -m recipes.embedded.tiny assemble --ecg-tower outputs/ecg_tower --vision-tower outputs/vision_tower \\
        --data outputs/data --output outputs/start
    python -m recipes.embedded.tiny states --corpus outputs/records --corpus outputs/again --model outputs/start \\
        --output outputs/states

`recipes/embedded/reproduce.py` runs all of it, the training of towers and language model included; with `--dry-run` it prints every
command.
"""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from datasets import Array2D, Dataset, DatasetDict, Features, Image, List, Value, load_from_disk
from PIL import Image as Picture
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm
from transformers import CLIPVisionModel, LlamaConfig

from modeling_gem import GemConfig, GemEcgModel, GemForConditionalGeneration
from modeling_gem.chat_templates import PLAIN
from modeling_gem.gem_parts import build_processor
from processing.ecg_page import render_ecg
from recipes.console import run_script
from recipes.files import atomic_folder
from recipes.sources.statements import superclasses_of
from recipes.teachers.grounded_answer import QUESTIONS
from recipes.teachers.questions import WHOLE, Asked, Known, any_question, ask, ask_some
from recipes.teachers.wordings import pick

from .corpus import CHOICE_FOLD, LEARNT_FOLDS, MICROVOLTS, Corpus
from .junk import OF_PICTURES, Junk, junk_of, kinds_in_turn
from .page_augment import augment_page
from .states import MODALITIES, TowerStates, run_towers
from .tower_data import OWN_LAYOUT, PAGE_MEAN, PAGE_SIZE, PAGE_STD, PageAugmentation, as_columns, drawn_page
from .vocabulary import train_tokenizer

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, help="Prepare the embedded model."
)
CorpusOption = Annotated[list[Path], typer.Option(help="What recipes.embedded.corpus wrote; repeatable.")]
FolderOption = Annotated[Path, typer.Option()]
OutputOption = Annotated[Path, typer.Option(help="Folder to write.")]
SeedOption = Annotated[int, typer.Option()]
JunkOption = Annotated[int, typer.Option(help="Number of inputs that are not ECGs.")]
PicturesOption = Annotated[
    int, typer.Option(help="How often each kind of picture comes among them, for one of each other kind.")
]

FEATURES = Features(
    {
        "id": Value("string"),
        "messages": List({"role": Value("string"), "content": Value("string")}),
        "length": Value("int32"),
    }
)
PROMPT_FEATURES = Features(
    {**FEATURES, "ecg": Array2D((12, 5000), "float32"), "sampling_rate": Value("float32"), "image": Image()}
)
# Two questions about each: a twelfth of all examples. Only batches that show a picture alone teach what a foreign one looks like,
# because the signal beside it is flat.
JUNK = 1500
DEFAULT_QUESTION = QUESTIONS["full_text"][0]
# Pages as hospitals print and people photograph them.
LANDSCAPE_LAYOUTS, LANDSCAPE_SIZE = ("3x4+1", "3x4", "6x2"), (790, 1120)


def conversations(
    corpus: Corpus, folds: tuple[int, ...], seed: int, questions: int = 1, together: int = 1
) -> Iterator[dict[str, Any]]:
    """
    Per record of `folds` an interpretation, in rare cases two, and some of the questions that people ask, in training order; at most
    `together` of them in one conversation.
    """
    rng = np.random.default_rng(seed)
    for row, features in zip(corpus.rows, corpus.features, strict=True):
        if row["fold"] not in folds:
            continue
        known = Known(features, row["codes"])
        for _ in range(_readings(row["codes"], rng)):
            # Half of the interpretations answer the default question.
            worded = DEFAULT_QUESTION if rng.random() < 0.5 else None
            yield example(row["id"], ask(WHOLE, known, rng, worded))
        asked = ask_some(questions, known, rng)
        for first in range(0, questions, together):
            yield example(row["id"], *asked[first : first + together])


def _readings(codes: dict[str, float], rng: np.random.Generator) -> int:
    found = superclasses_of(codes)
    return 1 + int("HYP" in found) + int(bool(found & {"MI", "STTC", "CD"}) and rng.random() < 0.5)


def refusals(examples: Iterator[Junk], seed: int) -> Iterator[dict[str, Any]]:
    """Questions about inputs that are not ECGs: for an interpretation, and for something else."""
    rng = np.random.default_rng(seed)
    for one in examples:
        yield example(one.name, (pick(rng, QUESTIONS["full_text"]), one.answer))
        yield example(one.name, (any_question(rng), one.answer))


def example(record_id: str, *asked: Asked) -> dict[str, Any]:
    """A row of the training data: id, questions with their answers, and the length of these."""
    turns = [(("user", question), ("assistant", answer)) for question, answer in asked]
    messages = [{"role": role, "content": text} for role, text in chain.from_iterable(turns)]
    return {"id": record_id, "messages": messages, "length": sum(len(answer) for _, answer in asked)}


@app.command()
def data(
    corpus: CorpusOption,
    output: OutputOption,
    questions: Annotated[int, typer.Option(help="Asked about each record, beside an interpretation.")] = 1,
    together: Annotated[int, typer.Option(min=1, help="Of these, how many in one conversation.")] = 1,
    junk_count: JunkOption = JUNK,
    pictures: PicturesOption = 1,
    seed: SeedOption = 0,
) -> None:
    """Write the conversations: those to learn from, and those of fold 8 as validation."""
    measured = Corpus.load(*corpus)
    train = [
        *conversations(measured, (*LEARNT_FOLDS, 0), seed, questions, together),
        *refusals(junk_of(measured, junk_count, seed, kinds_in_turn(pictures)), seed),
    ]
    splits = {"train": train, "validation": list(conversations(measured, (CHOICE_FOLD,), seed))}
    with atomic_folder(output) as part:
        DatasetDict({name: Dataset.from_list(rows, FEATURES) for name, rows in splits.items()}).save_to_disk(part)
    print({name: len(rows) for name, rows in splits.items()})


@app.command()
def prompts(
    corpus: CorpusOption,
    output: OutputOption,
    count: Annotated[int, typer.Option(help="Records to learn from.")] = 1000,
    held: Annotated[int, typer.Option(help="Records of fold 8 to compare before and after.")] = 64,
    photographed: Annotated[
        float, typer.Option(help="Share of the records to learn from on photographed pages.")
    ] = 0.0,
    junk_count: Annotated[int, typer.Option(help="Pictures without an ECG, to be declined, to learn from.")] = 200,
    seed: SeedOption = 0,
) -> None:
    """Write records with signal and page for `gem train --method grpo`, and pictures without an ECG; each asked for an interpretation."""
    splits = training_prompts(Corpus.load(*corpus), count, held, photographed, junk_count, seed)
    with atomic_folder(output) as part:
        DatasetDict({n: Dataset.from_list(rows, PROMPT_FEATURES) for n, rows in splits.items()}).save_to_disk(part)
    print({name: len(rows) for name, rows in splits.items()})


def training_prompts(
    corpus: Corpus, count: int, held: int, photographed: float, junk_count: int, seed: int
) -> dict[str, list[dict[str, Any]]]:
    """The rows of `prompts` by split."""
    rng = np.random.default_rng(seed)
    splits = {}
    for name, folds, wanted in (("train", LEARNT_FOLDS, count), ("validation", (CHOICE_FOLD,), held)):
        numbers = [number for number, row in enumerate(corpus.rows) if row["fold"] in folds]
        drawn = rng.permutation(numbers)[:wanted]
        seen = rng.random(len(drawn)) < photographed * (name == "train")
        splits[name] = [
            _prompt(corpus, int(number), rng if photo else None) for number, photo in zip(drawn, seen, strict=True)
        ]
    # Two kinds of five are pictures.
    pictures = (one for one in junk_of(corpus, 5 * junk_count, seed) if one.kind in OF_PICTURES)
    splits["train"] += [_refusal(one) for one in islice(pictures, junk_count)]
    return splits


def _prompt(corpus: Corpus, number: int, photographer: np.random.Generator | None) -> dict[str, Any]:
    """A record asked for an interpretation; with a `photographer` its page is one of many layouts and looks photographed."""
    record, known = corpus.item(number).record, Known(corpus.features[number], corpus.rows[number]["codes"])
    asked = example(str(record.record_id), (DEFAULT_QUESTION, known.answer.full_text()))
    layout, size = OWN_LAYOUT, (PAGE_SIZE, PAGE_SIZE)
    if photographer is not None:
        layout, size = LANDSCAPE_LAYOUTS[int(photographer.integers(len(LANDSCAPE_LAYOUTS)))], LANDSCAPE_SIZE
    page = render_ecg(record, layout=layout, size=size)
    shown = Picture.fromarray(augment_page(page, photographer)) if photographer is not None else page.to_pil()
    return {**asked, "ecg": record.signal, "sampling_rate": record.sampling_rate, "image": shown}


def _refusal(one: Junk) -> dict[str, Any]:
    """A picture without an ECG, asked for an interpretation."""
    asked = example(one.name, (DEFAULT_QUESTION, one.answer))
    return {**asked, "ecg": None, "sampling_rate": None, "image": Picture.fromarray(one.picture)}


class TowerInputs(IterableDataset):
    """
    All records and the inputs that are not ECGs, as batches: `ids`, `ecg_values` and `pixel_values`, pages in any layout and light, some as if
    photographed; a share of `columns` of the signals as if digitised from a page of columns.
    """

    def __init__(
        self,
        corpus: Corpus,
        junk_count: int,
        pictures: int,
        seed: int,
        image_size: int,
        columns: float = 0.0,
        batch_size: int = 32,
    ):
        self.corpus, self.junk_count, self.pictures, self.seed = corpus, junk_count, pictures, seed
        self.size, self.columns, self.batch_size = image_size, columns, batch_size

    def __iter__(self) -> Iterator[dict[str, Any]]:
        light = PageAugmentation(training=True)
        batch: list[tuple[str, np.ndarray, np.ndarray]] = []
        for shown in self._shown():
            batch.append(shown)
            if len(batch) == self.batch_size:
                yield self._collated(batch, light)
                batch = []
        if batch:
            yield self._collated(batch, light)

    def _shown(self) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Name, signal and picture of everything."""
        for number, row in enumerate(self.corpus.rows):
            if row["fold"] == CHOICE_FOLD:
                continue
            rng = np.random.default_rng((self.seed, number))
            _, pixels = drawn_page(self.corpus.item(number).record, rng, size=self.size)
            signal = self.corpus.signals[number] / np.float32(MICROVOLTS)
            yield row["id"], as_columns(signal, rng) if rng.random() < self.columns else signal, pixels
        for one in junk_of(self.corpus, self.junk_count, self.seed, kinds_in_turn(self.pictures)):
            yield one.name, one.signal, one.picture

    @staticmethod
    def _collated(batch: list[tuple[str, np.ndarray, np.ndarray]], light: PageAugmentation) -> dict[str, Any]:
        ids, signals, pictures = zip(*batch, strict=True)
        return {
            "ids": list(ids),
            "ecg_values": torch.from_numpy(np.stack(signals)),
            "pixel_values": light([{"values": pixels} for pixels in pictures])["values"],
        }


@app.command("states")
def build_states(
    corpus: CorpusOption,
    model: Annotated[Path, typer.Option(help="Folder that assemble wrote.")],
    output: OutputOption,
    junk_count: JunkOption = JUNK,
    pictures: PicturesOption = 1,
    columns: Annotated[
        float, typer.Option(help="Share of the signals that show each lead as a page of columns does.")
    ] = 0.0,
    seed: SeedOption = 0,
) -> None:
    """Run the towers once over everything that is learned from; a process beside this one draws the pages."""
    torch.manual_seed(seed)
    network = GemForConditionalGeneration.from_pretrained(model, dtype=torch.float32).eval()
    size = network.config.vision_config.image_size
    inputs = TowerInputs(Corpus.load(*corpus), junk_count, pictures, seed, size, columns)
    ids, states = [], []
    for batch in tqdm(DataLoader(inputs, batch_size=None, num_workers=1)):
        ids += batch.pop("ids")
        states += [{name: state.half() for name, state in one.items()} for one in run_towers(network, [batch])]
    TowerStates(ids, **{name: torch.cat([batch[name] for batch in states]).numpy() for name in MODALITIES}).save(
        output
    )


@app.command()
def assemble(
    ecg_tower: FolderOption,
    vision_tower: FolderOption,
    data: FolderOption,
    output: OutputOption,
    vocab_size: Annotated[
        int, typer.Option(help="Tokens of answers; words of questions are added by recipes.embedded.words.")
    ] = 1000,
    seed: SeedOption = 0,
) -> None:
    """Put towers, tokenizer and a fresh language model together, and a processor."""
    torch.manual_seed(seed)
    messages = load_from_disk(str(data))["train"]["messages"]
    answers = [turn["content"] for conversation in messages for turn in conversation if turn["role"] == "assistant"]
    tokenizer = train_tokenizer(answers, vocab_size)
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
    )
    model.save_pretrained(output)
    # A page is seen whole. All pages that were learned from are square: with bars above and below it, a page that is wider than high
    # would be none of them.
    processor = build_processor(
        config, tokenizer, PLAIN, image_aspect_ratio="stretch", image_mean=list(PAGE_MEAN), image_std=list(PAGE_STD)
    )
    processor.save_pretrained(output)
    size = sum(parameter.numel() for parameter in model.parameters())
    print(f"{size / 1e6:.1f} M parameters, vocabulary {model.get_input_embeddings().num_embeddings}")


if __name__ == "__main__":
    run_script(app)
