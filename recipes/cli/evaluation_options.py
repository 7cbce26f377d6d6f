# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Options that the commands of `gem eval` share."""

from pathlib import Path
from typing import Annotated

import typer

from recipes.chat.engine_names import ENGINE_HELP

OutputOption = Annotated[
    Path,
    typer.Option("--output", "-o", help="Folder for answers, verdicts and report; a stopped run continues there."),
]
ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="Model folder or Hub id that answers; `tiny`: the embedded one.")
]
AnswersOption = Annotated[
    Path | None,
    typer.Option(help="Answers given elsewhere (JSON Lines of GEM, PULSE, ECG-R1 or ours) instead of a model."),
]
ModalityOption = Annotated[str, typer.Option(help="What the model sees: both, signal or image.")]
FilesOption = Annotated[
    list[str] | None, typer.Option("--files", help="Published ECG path prefix = folder here; repeatable.")
]
SetNameOption = Annotated[
    str,
    typer.Option("--set-name", help="What reports and cards call the set, instead of PTB-XL or its folder's name."),
]
LimitOption = Annotated[int | None, typer.Option(help="Only the first records.")]
BatchOption = Annotated[int, typer.Option(help="Records per forward pass.")]
GroundingOption = Annotated[
    str,
    typer.Option(
        help="How a model's answers are checked before they are scored, as in gem interpret: off, flag, select or correct."
    ),
]
AnswersTriedOption = Annotated[
    int, typer.Option("--n", min=1, help="Largest number of answers that select and correct try.")
]
TokensOption = Annotated[int, typer.Option(min=1, help="Length limit of an answer.")]
JudgeOption = Annotated[
    str,
    typer.Option(
        help="Judge: the model's name at the endpoint; with --judge-engine transformers or vllm its folder or Hub id."
    ),
]
JudgeEngineOption = Annotated[
    str,
    typer.Option(
        help="Where the judge runs: the URL of an OpenAI-compatible endpoint, up to and with /v1 (default: OpenAI); transformers "
        "or vllm on this machine."
    ),
]
EngineOption = Annotated[
    str,
    typer.Option(help=f"What --model runs on: {ENGINE_HELP}; the last two need gem-ecg[teacher] and docs/vllm.md."),
]
JudgeSettingsOption = Annotated[
    Path | None,
    typer.Option(help="YAML with more of the judge's settings (budget_usd, prices, timeout, max_concurrency ...)."),
]

__all__ = [
    "AnswersOption",
    "AnswersTriedOption",
    "BatchOption",
    "EngineOption",
    "FilesOption",
    "GroundingOption",
    "JudgeEngineOption",
    "JudgeOption",
    "JudgeSettingsOption",
    "LimitOption",
    "ModalityOption",
    "ModelOption",
    "OutputOption",
    "SetNameOption",
    "TokensOption",
]
