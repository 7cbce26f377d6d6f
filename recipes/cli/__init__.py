# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The `gem` command: one thin function per verb; what it does lives in the packages."""

import json
import os
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from recipes.console import console, run_script
from recipes.files import atomic_path

from . import check, dataset, demo, evaluate, features, merge, publish, train
from . import evidence as cli_evidence
from .records import for_each_record

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

app = typer.Typer(
    name="gem",
    help="GEM reads 12-lead ECGs as signal, picture and text, and writes a grounded interpretation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
NOT_A_DEVICE = "gem-ecg is research software, not a medical device. Do not use it for diagnosis or treatment."

RecordArgument = Annotated[
    Path, typer.Argument(help="An ECG file (WFDB, CSV, NPY, MAT, HDF5, EDF, DICOM, SCP, XML) or a picture of one.")
]
ModelOption = Annotated[
    str,
    typer.Option("--model", "-m", help="Model folder or Hub id. Default: the small model that comes with gem-ecg."),
]


@app.command()
def interpret(
    record: RecordArgument,
    image: Annotated[
        Path | None, typer.Option(help="Picture that goes with the record; else a page is drawn.")
    ] = None,
    question: Annotated[str | None, typer.Option("--question", "-q", help="What to ask about the ECG.")] = None,
    model: ModelOption = "",
    modality: Annotated[str, typer.Option(help="What the model sees: both, signal or image.")] = "both",
    sampling_rate: Annotated[float | None, typer.Option(help="Hz, for files that do not say.")] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Length limit of the answer.")] = 256,
    save_page: Annotated[Path | None, typer.Option(help="Save the page that the model saw (PNG or JPEG).")] = None,
    evidence: Annotated[
        Path | None, typer.Option(help="Check the claims; draw them on the page (PNG, JPEG or self-contained HTML).")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object: text, measurements, what was done.")
    ] = False,
    trust_remote_code: Annotated[bool, typer.Option(help="Let --model bring its own code.")] = False,
) -> None:
    """Interpret an ECG: the answer streams as it is written.

    Example: gem interpret records500/00000/00001_hr --question "What is the rhythm?"
    """
    started = time.perf_counter()
    if evidence is not None:
        cli_evidence.check_target(evidence, modality)
    with console.status("Loading the model") if console.is_terminal and not as_json else nullcontext():
        processor, network = _load(model, trust_remote_code)
    # Measured values and the model's text come from one loaded record.
    kwargs = {"sampling_rate": sampling_rate} if sampling_rate else {}
    chat = processor.build_conversation(record, question=question, image=image, modality=modality, **kwargs)
    if save_page is not None:
        _save_picture(processor.picture(chat), save_page)
    text = _generate(processor, network, chat, max_new_tokens, stream=not as_json)
    ecg = processor.record(chat)
    checked = cli_evidence.write_evidence(ecg, text, evidence) if evidence is not None else None
    if as_json:
        result = {
            "record": str(record),
            "model": model or "gem-ecg-tiny",
            "question": question or processor.default_question,
            "interpretation": text,
            "measurements": processor.measurements(chat),
            **({"grounding": checked.to_dict()} if checked is not None else {}),
            "history": list(ecg.history) if ecg is not None else [],
            "seconds": round(time.perf_counter() - started, 2),
            "notice": NOT_A_DEVICE,
        }
        print(json.dumps(result, indent=2, ensure_ascii=False))
        return
    if ecg is not None:
        console.print(_measured_line(ecg), style="dim")
    for change in ecg.history if ecg is not None else ():
        console.print(f"{record}: {change}", style="dim")
    if checked is not None:
        counts = ", ".join(f"{number} {verdict}" for verdict, number in cli_evidence.counts(checked).items())
        console.print(f"{len(checked.claims)} claims: {counts} -> {evidence}")
    console.print(f"{time.perf_counter() - started:.1f} s", style="dim")
    console.print(NOT_A_DEVICE, style="yellow")


@app.command()
def info(
    model: Annotated[
        str, typer.Argument(help="Model folder or Hub id. Default: the model that comes with gem-ecg.")
    ] = "",
    trust_remote_code: Annotated[bool, typer.Option(help="Let the model bring its own code.")] = False,
) -> None:
    """Show what a GEM is made of: towers, projectors, language model, inputs, size."""
    from transformers import AutoConfig

    import modeling_gem

    source = model or str(modeling_gem.default_checkpoint())
    config = AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)
    processor, network = _load(model, trust_remote_code)
    parts = {
        "ECG tower": (network.model.ecg_tower, config.ecg_config.model_type),
        "image tower": (network.model.vision_tower, config.vision_config.model_type),
        "ECG projector": (network.model.ecg_projector, config.ecg_projector_type),
        "shared projector": (network.model.multi_modal_projector, config.projector_type),
        "language model": (network.model.language_model, config.text_config.model_type),
    }
    table = Table(title=source)
    for name in ("part", "kind", "parameters", "type"):
        table.add_column(name, justify="right" if name == "parameters" else "left")
    for name, (module, kind) in parts.items():
        parameters = list(module.parameters())
        table.add_row(
            name, kind, f"{sum(p.numel() for p in parameters):,}", str(parameters[0].dtype).removeprefix("torch.")
        )
    console.print(table, soft_wrap=False)
    ecg, extractor = config.ecg_config, processor.feature_extractor
    console.print(
        f"ECG: {ecg.num_leads} leads x {ecg.seq_length} samples at {extractor.sampling_rate:g} Hz -> {ecg.num_tokens} tokens; "
        f"picture: {config.vision_config.image_size} px, {processor.image_processor.image_aspect_ratio}, "
        f"{processor.num_image_tokens} tokens a tile; page layout {processor.page_layout}"
    )
    console.print(
        f"preprocessing: {'as the original GEM (compat)' if processor.compat else 'by lead name, resampled'}"
    )


@app.command()
def convert(
    checkpoint: Annotated[
        Path, typer.Argument(help="Original GEM checkpoint folder, an ECG-CoCa .pt, or a saved ECG tower.")
    ],
    output: Annotated[Path, typer.Argument(help="Folder to write.")],
    vision_tower: Annotated[
        Path | None, typer.Option(help="Folder of the image tower (CLIP, SigLIP, DINOv2 ...).")
    ] = None,
    language_model: Annotated[Path | None, typer.Option(help="Folder of a causal LM: assembles a fresh GEM.")] = None,
    ecg_encoder: Annotated[
        Path | None, typer.Option(help="ECG-CoCa .pt or saved ECG tower, for a checkpoint without one (PULSE, LLaVA).")
    ] = None,
    ecg_projector_type: Annotated[str, typer.Option(help="Of a fresh GEM: linear or mlp2x_gelu.")] = "linear",
    max_shard_size: Annotated[str, typer.Option(help="Largest weight file to write.")] = "5GB",
    remote_code: Annotated[bool, typer.Option(help="Add the code, so that the folder loads without gem-ecg.")] = False,
) -> None:
    """Convert an original checkpoint (GEM), extract an ECG-CoCa tower, or assemble a fresh GEM from parts.

    \b
    gem convert llava-gem OUT [--vision-tower CLIP]                   original GEM
    gem convert PULSE-7B OUT --ecg-encoder cpt_wfep_epoch_20.pt       what the paper's training starts from
    gem convert cpt_wfep_epoch_20.pt OUT                              ECG-CoCa: its signal tower
    gem convert cpt_wfep_epoch_20.pt OUT --vision-tower DIR --language-model DIR   fresh GEM
    """
    from modeling_gem.convert_gem import assemble_gem, convert_ecg_coca, convert_original_checkpoint
    from recipes.publishing.remote_code import add_remote_code

    if language_model is not None:
        if vision_tower is None:
            raise typer.BadParameter("a fresh GEM needs an image tower", param_hint="--vision-tower")
        report = assemble_gem(
            checkpoint, vision_tower, language_model, output, ecg_projector_type, max_shard_size=max_shard_size
        )
    elif checkpoint.is_dir():
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
    console.print(f"{report.converted} weights, {report.num_parameters:,} parameters -> {output}")


@app.command()
def inspect(
    source: Annotated[Path, typer.Argument(help="An ECG file, or a folder of them.")],
    sampling_rate: Annotated[float | None, typer.Option(help="Hz, for files that do not say.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per record.")] = False,
) -> None:
    """Show leads, rate, units, quality and every change made while reading, of a record or a folder."""
    from processing.ecg_quality import inspect_record
    from processing.ecg_readers import load_ecg

    def show(path: Path) -> None:
        summary = inspect_record(load_ecg(path, sampling_rate=sampling_rate))
        print(json.dumps(summary, ensure_ascii=False)) if as_json else _print_summary(summary)

    for_each_record(source, show, quiet=as_json)


@app.command()
def render(
    source: Annotated[Path, typer.Argument(help="An ECG file, or a folder of them.")],
    output: Annotated[Path, typer.Argument(help="Picture to write (PNG, JPEG), or a folder when SOURCE is one.")],
    layout: Annotated[str, typer.Option(help="gem_12x1, 6x2, 3x4, 3x4+1, 3x4+3, 12x1 or square_12x1.")] = "3x4+1",
    sampling_rate: Annotated[float | None, typer.Option(help="Hz, for files that do not say.")] = None,
    speed: Annotated[float, typer.Option(help="Paper speed, mm/s.")] = 25,
    gain: Annotated[float, typer.Option(help="mm per mV.")] = 10,
) -> None:
    """Draw ECGs on paper, as a clinician or the model sees them."""
    from processing.ecg_page import render_ecg
    from processing.ecg_readers import load_ecg

    def draw(path: Path) -> None:
        target = output / path.relative_to(source).with_suffix(".png") if source.is_dir() else output
        target.parent.mkdir(parents=True, exist_ok=True)
        record = load_ecg(path, sampling_rate=sampling_rate)
        render_ecg(record, layout=layout, speed=speed, gain=gain).save(target)

    for_each_record(source, draw)


def _measured_line(ecg: Any) -> str:
    """What the waveform itself says, beside what the model says."""
    from processing.ecg_features import extract_features
    from recipes.teachers.grounded_answer import milliseconds, number

    measured = extract_features(ecg)
    return (
        f"measured: {number(measured.heart_rate)} bpm, PR {milliseconds(measured.pr_interval)}, "
        f"QRS {milliseconds(measured.qrs_duration)}, QT {milliseconds(measured.qt_interval)}, "
        f"QTc {milliseconds(measured.qtc_bazett)}, axis {number(measured.qrs_axis)} degrees"
    )


def _load(model: str, trust_remote_code: bool) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from transformers.utils import logging

    import modeling_gem

    logging.disable_progress_bar()

    source = model or str(modeling_gem.default_checkpoint())
    processor = AutoProcessor.from_pretrained(source, trust_remote_code=trust_remote_code)
    # Half precision has no fast path on most CPUs.
    dtype = "auto" if torch.cuda.is_available() else torch.float32
    network = AutoModelForImageTextToText.from_pretrained(source, dtype=dtype, trust_remote_code=trust_remote_code)
    return processor, network.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def _generate(processor: Any, network: Any, chat: list[dict], max_new_tokens: int, stream: bool) -> str:
    import torch
    from transformers import TextStreamer

    inputs = processor.apply_chat_template(
        chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt", draw_page=False
    ).to(network.device)
    streamer = TextStreamer(processor.tokenizer, skip_prompt=True, skip_special_tokens=True) if stream else None
    with torch.inference_mode():
        answer = network.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False, streamer=streamer)
    return processor.tokenizer.decode(answer[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()


def _print_summary(summary: dict[str, Any]) -> None:
    for key, value in summary.items():
        if isinstance(value, dict) and value and all(isinstance(row, dict) for row in value.values()):
            table = Table(title=key, title_justify="left")
            columns = list(next(iter(value.values())))
            for column in ("lead", *columns):
                table.add_column(column.replace("_", " "), overflow="fold")
            for name, row in value.items():
                table.add_row(str(name), *(_short(row.get(column)) for column in columns))
            console.print(table, soft_wrap=False)
        elif isinstance(value, (list, tuple)) and key == "history":
            for change in value:
                console.print(f"  - {change}")
        else:
            console.print(Text.assemble((key, "bold"), f": {_short(value)}"))


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _save_picture(picture: Any, path: Path) -> None:
    if picture is None:
        raise typer.BadParameter("the model saw no picture (signal only)", param_hint="--save-page")
    with atomic_path(path) as part:
        picture.save(part, format="JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else "PNG")


# Verbs with a file of their own.
app.command("build-dataset")(dataset.build_dataset)
app.command("train", context_settings=train.SETTINGS)(train.train)
app.command("merge")(merge.merge)
app.command("demo")(demo.demo)
app.command("check")(check.check)
app.command("features")(features.features)
app.add_typer(publish.app, name="publish")
app.add_typer(evaluate.app, name="eval")


def main() -> None:
    """Runs the command; errors a user can cause end in one red line instead of a traceback."""
    run_script(app)
