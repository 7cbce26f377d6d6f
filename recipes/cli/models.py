# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The verbs around a model: interpret, info, convert, train, merge, demo."""

import json
import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import numpy as np
import typer
from rich.table import Table

from processing.ecg_features import extract_features
from processing.grounding.cut_off import cut_off_in_words
from recipes.console import console, say_failed
from recipes.files import atomic_path
from recipes.models import NOT_A_DEVICE, checkpoint_errors, load_pipeline, model_source
from recipes.record_options import (
    DECLINED,
    ReadingOptions,
    as_options,
    end_by,
    keep_sources,
    say_verdict,
    with_record_options,
)

from .interpret_many import ManyOptions, interpret_many, with_many_options
from .marked_answer import print_answer, print_verdicts, shown_as_written
from .records import PICTURES, check_target, write_evidence
from .tables import number

if TYPE_CHECKING:
    from PIL import Image

    from modeling_gem import EcgFeatures, EcgRecord, GemPipeline, GemProcessor
    from modeling_gem.interpretation import EcgLike, GemEngine
    from processing.chat_gem import Modality

RecordArgument = Annotated[
    Path,
    typer.Argument(
        help="An ECG file (WFDB, CSV, NPY, MAT, HDF5, EDF, DICOM, SCP, XML) or a picture of one; with --output a folder or data set."
    ),
]
ModelOption = Annotated[
    str,
    typer.Option("--model", "-m", help="Model folder or Hub id. Default: the small model that comes with gem-ecg."),
]

# What comes behind CONFIG is not typer's: any setting of the config may be overridden.
SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}


@with_many_options
@with_record_options
def interpret(
    record: RecordArgument,
    options: ReadingOptions,
    many: ManyOptions,
    image: Annotated[
        Path | None, typer.Option(help="Picture that goes with the record; else a page is drawn.")
    ] = None,
    question: Annotated[str | None, typer.Option("--question", "-q", help="What to ask about the ECG.")] = None,
    model: ModelOption = "",
    modality: Annotated[str, typer.Option(help="What the model sees: both, signal or image.")] = "both",
    grounding: Annotated[
        str,
        typer.Option(
            help="Check the claims against the waveform: flag marks them; select tries --n answers and takes the one whose "
            "claims hold best; correct also replaces or strikes out what is still contradicted; off."
        ),
    ] = "flag",
    n: Annotated[int, typer.Option("--n", min=1, help="Largest number of answers that select and correct try.")] = 8,
    seed: Annotated[int, typer.Option(help="Of these answers.")] = 0,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Length limit of the answer.")] = 256,
    save_page: Annotated[Path | None, typer.Option(help="Save the page that the model saw (PNG or JPEG).")] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(
            help="Draw the claims on the page, of a picture on the picture itself (PNG, JPEG or self-contained HTML)."
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object: text, claims with verdicts, measurements, what was done."),
    ] = False,
    digitize: Annotated[
        bool,
        typer.Option(help="Recover the signal from a picture, so that it can be measured and the answer checked."),
    ] = True,
    trust_remote_code: Annotated[bool, typer.Option(help="Allow the model's own code to run.")] = False,
) -> None:
    """Interpret an ECG and check the answer against the waveform. Contradicted claims are marked with the measured value.

    \b
    gem interpret records500/00000/00001_hr --question "What is the rhythm?"
    gem interpret record.hea --grounding select --n 16    the best of 16 answers
    gem interpret record.hea --grounding correct          no contradicted claim is left; each change in [brackets]
    gem interpret record.hea --backend http://my_host:8000/v1
    gem interpret photo.jpg                               digitised if that is reliable, else read as a picture
    gem interpret my_folder --output answers.parquet      a row for every ECG of a folder or data set

    The last lines are the model's measured accuracy and the number of contradicted claims. A file that is not an ECG is declined
    with a reason (exit code 3, `declined` in --json). A suspect record is interpreted; the doubts are printed first (also 3).
    """
    from transformers import Pipeline

    from modeling_gem.interpretation import as_grounding, from_picture
    from modeling_gem.interpretation import interpret as interpret_ecg
    from modeling_gem.model_strength import model_strength
    from processing.chat_gem import as_modality
    from processing.ecg_check import check_ecg
    from processing.ecg_readers import is_picture
    from processing.errors_gem import EcgQualityError
    from recipes.chat.engines import gem_engine
    from recipes.teachers.diagnoses import check_label

    started = time.perf_counter()
    shown, mode = as_modality(modality), as_grounding(grounding)
    if many.output is not None or record.is_dir():
        alone = {"--image": image, "--save-page": save_page, "--evidence": evidence, "--json": as_json}
        _refuse(alone | {"--no-digitize": not digitize, "--trust-remote-code": trust_remote_code})
        if question:
            _say_doubt(question, model_source(model), trust_remote_code)
        interpret_many(record, options, many, model, question, shown, mode, n, seed, max_new_tokens)
        return
    for option, target in (("--save-page", save_page), ("--evidence", evidence)):
        keep_sources(target, option, record, image)
    if save_page is not None:
        _check_page(save_page, shown)
    # The record is read, judged and measured before the model is loaded.
    ecg = measured = None
    page: Image.Image | None = None
    why_not = "not to be digitised"
    try:
        if is_picture(record):
            given: EcgLike = (page := options.load_whole_page(record))
            if digitize and shown != "image":
                ecg, why_not = from_picture(page, name=record.name, **options.of_page())
        else:
            ecg = check_ecg(options.load(record))
        if ecg is not None:
            given = ecg
            measured = extract_features(ecg).check_plausibility()
    except EcgQualityError as error:
        _decline(record, error, as_json)
    if evidence is not None:
        no_signal = f"no signal was recovered from the picture ({why_not})" if ecg is None else ""
        check_target(evidence, "--grounding is off" if mode == "off" else no_signal)
    if measured is not None and not as_json:
        say_verdict(record, measured.plausibility)
    gem: GemPipeline | GemEngine
    with console.status("Loading the model") if console.is_terminal and not as_json else nullcontext():
        if many.backend == "transformers":
            gem = _load(model, trust_remote_code)
        else:
            gem = gem_engine(many.backend, model_source(model), trust_remote_code=trust_remote_code)
    if ecg is not None and not as_json:
        for note in _unseen(ecg, gem.processor):
            console.print(as_options(f"{record}: {note}"), style="yellow")
    with shown_as_written(gem.processor.tokenizer) if not as_json else nullcontext() as streamer:
        found = interpret_ecg(
            given,
            model=gem,
            grounding=mode,
            question=question,
            image=image or page,
            modality=shown,
            n=n,
            seed=seed,
            features=measured,
            streamer=streamer,
            generation={"max_new_tokens": max_new_tokens},
            digitize=False,
        )
    if not isinstance(gem, Pipeline):
        gem.close()
    if found.declined is not None:
        _decline(record, found.declined, as_json)
    if save_page is not None and found.page is not None:
        _save_picture(found.page, save_page)
    if evidence is not None:
        write_evidence(found, evidence, page)
    strength = model_strength(model_source(model), "image" if ecg is None else shown)
    label = check_label(ecg.labels, found.text) if ecg is not None else None
    if as_json:
        result = {
            "record": str(record),
            "plausibility": measured.plausibility.to_dict() if measured is not None else None,
            "model": model or "gem-ecg-tiny",
            "question": question or gem.processor.default_question,
            "question_doubt": None,
            "cut_off": False,
            "denied_ecg": None,
            "cautions": [],
            "interpretation": found.text,
            "declined": found.declined,
            **found.marks(),
            "undigitized": why_not if page is not None and ecg is None else None,
            "label": asdict(label) if label is not None else None,
            "measurements": measured.to_dict() if measured is not None and shown != "image" else None,
            "unseen": _unseen(ecg, gem.processor) if ecg is not None else [],
            "history": list(ecg.history) if ecg is not None else [],
            "model_strength": strength,
            "seconds": round(time.perf_counter() - started, 2),
            "notice": NOT_A_DEVICE,
        }
        print(json.dumps(result, indent=2, ensure_ascii=False))
    else:
        print_answer(console, found)
        if found.cut_off:
            console.print(f"{cut_off_in_words(max_new_tokens)}; --max-new-tokens sets more", style="yellow")
        if measured is not None:
            console.print(_measured_line(measured), style="dim")
        if label is not None:
            console.print(label.heading, style="dim")
            for objection in label.objections:
                console.print(objection, style="red")
        for change in ecg.history if ecg is not None else ():
            console.print(as_options(f"{record}: {change}"), style="dim")
        if page is not None and ecg is None:
            console.print(as_options(f"no signal was recovered from the picture: {why_not}"), style="yellow")
        if evidence is not None:
            console.print(f"evidence -> {evidence}")
        console.print(f"{time.perf_counter() - started:.1f} s", style="dim")
        console.print(NOT_A_DEVICE, style="yellow")
        console.print(strength, style="dim")
        print_verdicts(console, found)
    if measured is not None:
        end_by(measured.plausibility)


def _decline(record: Path, reason: Exception | str, as_json: bool) -> NoReturn:
    """No reading without an ECG: the reason, and exit code 3."""
    if as_json:
        result = {"record": str(record), "interpretation": None, "declined": str(reason), "notice": NOT_A_DEVICE}
        print(json.dumps(result, indent=2, ensure_ascii=False))
    else:
        say_failed("declined:", as_options(reason))
    raise typer.Exit(DECLINED)


def _say_doubt(question: str, source: str, trust_remote_code: bool) -> None:
    """Names the words of a question to many ECGs that the model was not taught."""
    from transformers import AutoProcessor

    with checkpoint_errors(source):
        processor = AutoProcessor.from_pretrained(source, trust_remote_code=trust_remote_code)
    if doubt := processor.question_doubt(processor.build_conversation(None, question)):
        console.print(doubt, style="yellow", markup=False)


def _unseen(ecg: "EcgRecord", processor: "GemProcessor") -> list[str]:
    """Sentences on the parts of the record that the model does not see."""
    found = []
    masked = [lead for lead in ecg.leads if not np.isfinite(ecg.lead(lead)).any()]
    if masked:
        found.append(f"the model gets zeros for {', '.join(masked)}, which have no signal")
    extractor = processor.feature_extractor
    seconds = extractor.num_samples / extractor.sampling_rate
    if ecg.duration > seconds + 0.05:
        found.append(f"the model sees the first {seconds:g} of {ecg.duration:g} s; `start=` chooses others")
    return found


def info(
    model: Annotated[
        str, typer.Argument(help="Model folder or Hub id. Default: the model that comes with gem-ecg.")
    ] = "",
    trust_remote_code: Annotated[bool, typer.Option(help="Allow the model's own code to run.")] = False,
) -> None:
    """Show what a GEM is made of: towers, projectors, language model, inputs, size."""
    gem = _load(model, trust_remote_code)
    network, processor = gem.model, gem.processor
    body = network.model
    parts = {
        "ECG tower": (body.ecg_tower, body.ecg_tower.config.model_type),
        "image tower": (body.vision_tower, body.vision_tower.config.model_type),
        "ECG projector": (body.ecg_projector, network.config.ecg_projector_type),
        "shared projector": (body.multi_modal_projector, network.config.projector_type),
        "language model": (body.language_model, body.language_model.config.model_type),
    }
    table = Table(title=model_source(model))
    for name in ("part", "kind", "parameters", "type"):
        table.add_column(name, justify="right" if name == "parameters" else "left")
    for name, (module, kind) in parts.items():
        parameters = list(module.parameters())
        table.add_row(
            name, kind, f"{sum(p.numel() for p in parameters):,}", str(parameters[0].dtype).removeprefix("torch.")
        )
    console.print(table, soft_wrap=False)
    ecg, extractor = body.ecg_tower.config, processor.feature_extractor
    console.print(
        f"ECG: {ecg.num_leads} leads x {ecg.seq_length} samples at {extractor.sampling_rate:g} Hz -> {ecg.num_tokens} tokens; "
        f"picture: {body.vision_tower.config.image_size} px, {processor.image_processor.image_aspect_ratio}, "
        f"{processor.num_image_tokens} tokens a tile; page layout {processor.page_layout}"
    )
    console.print(
        f"preprocessing: {'as the original GEM (compat)' if processor.compat else 'by lead name, resampled'}"
    )


def convert(
    checkpoint: Annotated[
        str,
        typer.Argument(
            help="Original GEM checkpoint, an ECG-CoCa .pt, or an ECG tower. Hub ids are taken as folders are."
        ),
    ],
    output: Annotated[Path, typer.Argument(help="Folder to write.")],
    vision_tower: Annotated[
        str | None, typer.Option(help="Folder or Hub id of the image tower (CLIP, SigLIP, DINOv2 ...).")
    ] = None,
    language_model: Annotated[
        str | None, typer.Option(help="Folder or Hub id of a causal LM: assembles a fresh GEM.")
    ] = None,
    ecg_encoder: Annotated[
        str | None, typer.Option(help="ECG-CoCa .pt or an ECG tower, for a checkpoint without one (PULSE, LLaVA).")
    ] = None,
    ecg_projector_type: Annotated[str, typer.Option(help="Projector of a new GEM: linear or mlp2x_gelu.")] = "linear",
    max_shard_size: Annotated[str, typer.Option(help="Largest weight file to write.")] = "5GB",
    remote_code: Annotated[bool, typer.Option(help="Add the code, so that the folder loads without gem-ecg.")] = False,
) -> None:
    """Convert an original checkpoint (GEM), extract an ECG-CoCa tower, or assemble a fresh GEM from parts.

    \b
    gem convert llava-gem OUT [--vision-tower CLIP]                   original GEM
    gem convert PULSE-7B OUT --ecg-encoder cpt_wfep_epoch_20.pt       what the paper's training starts from
    gem convert cpt_wfep_epoch_20.pt OUT                              ECG-CoCa: its signal tower
    gem convert cpt_wfep_epoch_20.pt OUT --vision-tower DIR --language-model DIR   fresh GEM
    gem convert PULSE-ECG/PULSE-7B@main OUT --vision-tower openai/clip-vit-large-patch14-336 --ecg-encoder ...   from the Hub
    """
    from modeling_gem.checkpoint_files import local_checkpoint
    from modeling_gem.convert_gem import assemble_gem, convert_ecg_coca, convert_original_checkpoint
    from recipes.publishing.remote_code import add_remote_code

    if language_model is not None:
        if vision_tower is None:
            raise typer.BadParameter("a fresh GEM needs an image tower", param_hint="--vision-tower")
        report = assemble_gem(
            checkpoint, vision_tower, language_model, output, ecg_projector_type, max_shard_size=max_shard_size
        )
    elif local_checkpoint(checkpoint).is_dir():
        report = convert_original_checkpoint(checkpoint, output, vision_tower, max_shard_size, ecg_encoder)
    else:
        report = convert_ecg_coca(checkpoint, output)
    if remote_code:
        add_remote_code(output)
    for part, source in report.sources.items():
        console.print(f"{part}: {source}")
    for reason, keys in report.dropped.items():
        console.print(f"left out: {len(keys)} weights, {reason}")
    for part in report.new:
        console.print(f"new, to be trained: {part}")
    for note in report.notes:
        console.print(note, style="yellow")
    console.print(f"{report.converted} weights, {report.num_parameters:,} parameters -> {output}")


def train(
    context: typer.Context,
    config: Annotated[
        Path, typer.Argument(help="YAML settings, see recipes/configs/{sft,grpo,dpo}_*.yaml and docs/training.md.")
    ],
    method: Annotated[
        Literal["sft", "grpo", "dpo"],
        typer.Option(
            help="sft: from answers; grpo: from rewards of the model's own answers; dpo: from preferred answers."
        ),
    ] = "sft",
) -> None:
    """Train a GEM with TRL; any setting of CONFIG can be overridden after it.

    \b
    gem train recipes/configs/sft_lora.yaml --model_name_or_path GEM --dataset DATA --output_dir OUT
    gem train recipes/configs/sft_lora.yaml --learning_rate 5e-5 --max_steps 100
    gem train CONFIG --resume_from_checkpoint true          continue from the last checkpoint
    gem train --method grpo recipes/configs/grpo_tiny.yaml  rewards from the measurements
    Several devices:
    accelerate launch --config_file recipes/configs/accelerate/ddp.yaml -m recipes.training.sft --config CONFIG
    """
    if not config.is_file():
        raise typer.BadParameter(f"{config} does not exist", param_hint="CONFIG")
    import_module(f"recipes.training.{method}").main(["--config", str(config), *context.args])


def merge(
    adapter: Annotated[Path, typer.Argument(help="Folder that `gem train` with LoRA or QLoRA wrote.")],
    output: Annotated[Path, typer.Argument(help="Folder to write: a GEM that needs no peft.")],
    base: Annotated[Path | None, typer.Option(help="The base model, if it has moved.")] = None,
    dtype: Annotated[
        str, typer.Option(help="Data type of the written weights: auto (that of the base), float32, bfloat16.")
    ] = "auto",
) -> None:
    """Merge a LoRA adapter into its base model.

    Example: gem merge outputs/sft_lora outputs/merged && gem interpret record.hea --model outputs/merged
    """
    from recipes.training.adapter import merge_adapter

    parameters = merge_adapter(adapter, output, base, dtype)
    typer.echo(f"{parameters:,} parameters -> {output}")


def demo(
    model: Annotated[
        str, typer.Option("--model", "-m", help="Model folder or Hub id. Default: the small model.")
    ] = "",
    port: Annotated[int, typer.Option(help="Port to serve on.", min=1, max=65535)] = 7860,
    host: Annotated[str, typer.Option(help="Address to serve on; 0.0.0.0 for the whole network.")] = "127.0.0.1",
    password: Annotated[
        str,
        typer.Option(
            envvar="GEM_PASSWORD", help="Password that users must enter; any user name will do.", show_default=False
        ),
    ] = "",
    allow_host: Annotated[
        list[str] | None,
        typer.Option(envvar="GEM_HOSTS", help="Further host name of the server; repeatable."),
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Show ECGs, interpretations and their evidence in a browser; needs the extra `demo`.

    Example: gem demo --port 7861
    """
    from hub_cards.space.gem_space.server import launch
    from recipes.serving.hosts import is_local

    if not is_local(host) and not password:
        console.print(
            f"Anyone who can reach {host} can use this demo; set a password with --password VALUE.", style="yellow"
        )
    launch(model, host, port, password, allow_host or (), inbrowser=open_browser)


def _measured_line(measured: "EcgFeatures") -> str:
    """The measurements of the waveform, to be shown beside the answer, as `gem features` rounds them."""
    values = (
        ("", measured.heart_rate, "bpm"),
        ("PR ", measured.pr_interval, "ms"),
        ("QRS ", measured.qrs_duration, "ms"),
        ("QT ", measured.qt_interval, "ms"),
        ("QTc ", measured.qtc_bazett, "ms"),
        ("axis ", measured.qrs_axis, "degrees"),
    )
    told = (
        f"{name}{f'{number(value)} {unit}' if math.isfinite(value) else 'not measurable'}"
        for name, value, unit in values
    )
    return f"measured: {', '.join(told)}"


def _load(model: str, trust_remote_code: bool) -> "GemPipeline":
    """`load_pipeline` without Transformers' bar of weights, which would stand between the answer's lines."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    return load_pipeline(model, trust_remote_code=trust_remote_code)


def _refuse(given: Mapping[str, object]) -> None:
    """Options that a run over many ECGs does not have, by name.

    Raises:
        typer.BadParameter: one is given.
    """
    for name, value in given.items():
        if value:
            raise typer.BadParameter("goes with one record, not with a folder or --output", param_hint=name)


def _check_page(path: Path, shown: "Modality") -> None:
    """Checks, before the model is loaded, that the page can be saved.

    Raises:
        typer.BadParameter: the model sees no page, or the file has another suffix.
    """
    if shown == "signal":
        raise typer.BadParameter("the model sees no picture (--modality signal)", param_hint="--save-page")
    if path.suffix.lower() not in PICTURES:
        raise typer.BadParameter(f"{path}: name a .png or .jpg file", param_hint="--save-page")


def _save_picture(picture: "Image.Image", path: Path) -> None:
    with atomic_path(path) as part:
        picture.save(part, format=PICTURES[path.suffix.lower()])
