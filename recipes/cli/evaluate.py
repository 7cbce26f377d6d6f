# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`gem eval`: benchmarks, grounding, PTB-XL, reviews by cardiologists; every run leaves a report."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from recipes.console import console, errors
from recipes.models import TINY, model_source

from .evaluation_options import (
    AnswersOption,
    AnswersTriedOption,
    BatchOption,
    EngineOption,
    FilesOption,
    GroundingOption,
    JudgeEngineOption,
    JudgeOption,
    JudgeSettingsOption,
    LimitOption,
    ModalityOption,
    ModelOption,
    OutputOption,
    SetNameOption,
    TokensOption,
)
from .evaluation_steps import (
    answers_file,
    files_of,
    finish,
    judge_of,
    lock,
    name_problems,
    pairs_of,
    progress_bar,
)

app = typer.Typer(
    no_args_is_help=True,
    help="Evaluate a model. Each run writes report.json, report.md, plots and card_metrics.yml; nothing is skipped in silence.",
)


@app.command()
def ecgbench(
    context: typer.Context,
    task: Annotated[
        str,
        typer.Argument(
            help="ptb-test, cpsc-test, code15-test, csn-test-no-cot, g12-test-no-cot, mmmu-ecg, ecgqa-test, ptb-test-report or arena."
        ),
    ],
    data: Annotated[
        Path, typer.Argument(help="The set: PULSE's Parquet (file or folder) or a JSON of PULSE or ECG-Grounding.")
    ],
    output: OutputOption,
    answers: AnswersOption = None,
    model: ModelOption = "",
    modality: ModalityOption = "both",
    engine: EngineOption = "transformers",
    files: FilesOption = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the published pictures, if the rows do not embed them.")
    ] = None,
    likelihood: Annotated[
        bool, typer.Option("--likelihood", help="Multi-label sets: also score each label's likelihood, for real AUCs.")
    ] = False,
    judge: JudgeOption = "",
    judge_engine: JudgeEngineOption = "",
    judge_settings: JudgeSettingsOption = None,
    batch_size: BatchOption = 8,
    max_new_tokens: TokensOption = 256,
    limit: LimitOption = None,
) -> None:
    """One set of ECG-Bench: the score as published (compat) beside the one to trust (strict).

    \b
    gem eval ecgbench ptb-test tests/fixtures/evaluation/ptb-test.json -o outputs/ptb --answers tests/fixtures/evaluation/ptb-answers.jsonl
    gem eval ecgbench csn-test-no-cot my_csn.json -o outputs/csn --model my_model --files mimic-iv=my_mimic
    gem eval ecgbench csn-test-no-cot my_csn.json -o outputs/csn --model my_model --engine vllm
    """
    from processing.chat_gem import as_modality
    from recipes.evaluation.ecgbench import MULTI_LABEL, bench_report, check_task, evaluate_ecgbench, label_scores
    from recipes.evaluation.items import read_bench
    from recipes.evaluation.judges import description
    from recipes.evaluation.report import main_process

    check_task(task)
    if likelihood and (task not in MULTI_LABEL or not model):
        raise typer.BadParameter("needs a multi-label set and --model", param_hint="--likelihood")
    if likelihood and engine != "transformers":
        raise typer.BadParameter(
            "needs --engine transformers: no other engine returns probabilities", param_hint="--likelihood"
        )
    lock(context, output)
    items = read_bench(data, files_of(files), images)[:limit]
    path = answers_file(model, answers, items, output, modality, batch_size, max_new_tokens, engine)
    if not main_process():
        return
    grader, client = judge_of(judge, judge_engine, judge_settings, output)
    graded, problems = None, []
    if likelihood:
        with progress_bar("likelihoods") as step:
            graded, unread = label_scores(
                task, items, model_source(model), output / "likelihoods.jsonl", as_modality(modality), batch_size, step
            )
        problems = unread
    with progress_bar("judge") as step:
        run = evaluate_ecgbench(task, items, path, output, grader, graded, step, limit is not None)
    run.problems = problems + run.problems
    finish(bench_report(run, items, model_source(model) if model else None, description(grader, client)), output)


@app.command()
def grounding(
    context: typer.Context,
    data: Annotated[
        Path, typer.Argument(help="PTB-XL (folder or Parquet), a data set of gem-ecg, or a JSON of ECG-Grounding.")
    ],
    output: OutputOption,
    answers: AnswersOption = None,
    model: ModelOption = "",
    modality: ModalityOption = "both",
    engine: EngineOption = "transformers",
    grounding: GroundingOption = "off",
    n: AnswersTriedOption = 8,
    question: Annotated[str, typer.Option(help="Instead of the set's own question.")] = "",
    fold: Annotated[int, typer.Option(help="Of PTB-XL.")] = 9,
    called: SetNameOption = "",
    reference: Annotated[
        str, typer.Option(help="For PTB-XL: grounded (measured features and labels in words) or report.")
    ] = "grounded",
    files: FilesOption = None,
    judge: JudgeOption = "",
    judge_engine: JudgeEngineOption = "",
    judge_settings: JudgeSettingsOption = None,
    judged: Annotated[
        Path | None, typer.Option(help="Judgements that exist already (file or folder, any published layout).")
    ] = None,
    batch_size: BatchOption = 8,
    max_new_tokens: TokensOption = 1024,
    limit: LimitOption = None,
) -> None:
    """Grounded ECG Understanding: claims checked against measurements, and the eight scores of a judge by every published formula.

    \b
    gem eval grounding my_ptbxl -o outputs/grounding --model tiny
    gem eval grounding my_ptbxl -o outputs/selected --model tiny --grounding select --n 8
    gem eval grounding my_ptbxl -o outputs/grounding --model tiny --judge my-judge --judge-engine http://localhost:8000/v1
    accelerate launch -m recipes.cli eval grounding my_ptbxl -o outputs/grounding --model my_model     several GPUs
    """
    from recipes.evaluation.grounding import evaluate_grounding, grounding_report
    from recipes.evaluation.items import read_test_set, set_name
    from recipes.evaluation.judges import description, earlier_judgement
    from recipes.evaluation.report import main_process

    lock(context, output)
    items, unread = read_test_set(data, question, files_of(files), fold, reference)
    items = items[:limit]
    path = answers_file(model, answers, items, output, modality, batch_size, max_new_tokens, engine, grounding, n)
    if not main_process():
        return
    grader, client = judge_of(judge, judge_engine, judge_settings, output)
    with Progress(console=errors) as progress:
        tasks: dict[str, TaskID] = {}

        def step(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total)
            progress.update(tasks[name], completed=done)

        run = evaluate_grounding(items, path, output, grader, judged, step, limit is not None)
    run.problems = unread + run.problems
    name, split = set_name(data, fold)
    judge_facts = description(grader, client) or (None if judged is None else earlier_judgement(judged))
    made = grounding_report(run, items, called or name, split, model_source(model) if model else None, judge_facts)
    finish(made, output)


@app.command()
def consistency(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="Test set, as for `gem eval grounding`.")],
    output: OutputOption,
    model: ModelOption = "",
    engine: EngineOption = "transformers",
    signal_answers: Annotated[
        Path | None, typer.Option(help="Answers from the signal alone, given elsewhere, instead of a model.")
    ] = None,
    image_answers: Annotated[Path | None, typer.Option(help="Answers from the picture alone.")] = None,
    question: Annotated[str, typer.Option(help="Instead of the set's own question.")] = "",
    fold: Annotated[int, typer.Option(help="Of PTB-XL.")] = 9,
    called: SetNameOption = "",
    files: FilesOption = None,
    batch_size: BatchOption = 8,
    max_new_tokens: TokensOption = 1024,
    limit: LimitOption = None,
) -> None:
    """Does the model say the same from the signal alone as from the picture alone? BLEU-4, ROUGE-L, agreement of claims.

    Example: gem eval consistency my_ptbxl -o outputs/consistency --model tiny
    """
    from recipes.evaluation.consistency import consistency_report, evaluate_consistency
    from recipes.evaluation.items import read_test_set, set_name
    from recipes.evaluation.report import main_process

    lock(context, output)
    items, problems = read_test_set(data, question, files_of(files), fold)
    items = items[:limit]
    paths = []
    for modality, given in (("signal", signal_answers), ("image", image_answers)):
        paths.append(
            answers_file(model, given, items, output / modality, modality, batch_size, max_new_tokens, engine)
        )
    if not main_process():
        return
    mean, scores, found, notes = evaluate_consistency(items, paths[0], paths[1], limit is not None)
    name, split = set_name(data, fold)
    made = consistency_report(
        mean, scores, problems + found, items, called or name, split, model_source(model) if model else None, notes
    )
    finish(made, output)


@app.command("review-export")
def review_export(
    data: Annotated[Path, typer.Argument(help="Test set, as for `gem eval grounding`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for review.html, review.xlsx and key.json.")],
    answers: Annotated[
        list[str], typer.Option(help="NAME=FILE: answers of a system to be reviewed; repeatable, mixed and blinded.")
    ],
    files: FilesOption = None,
    fold: Annotated[int, typer.Option(help="Of PTB-XL.")] = 9,
    limit: LimitOption = None,
    seed: Annotated[int, typer.Option(help="Seed of the order of the cases.")] = 0,
) -> None:
    """Sheets for cardiologists: page, interpretation, two kinds of marks, seven scales. Send review.html or review.xlsx, keep key.json.

    Example: gem eval review-export my_ptbxl -o outputs/review --answers gem=my_gem.jsonl --answers pulse=my_pulse.jsonl --limit 50
    """
    from recipes.evaluation.items import read_test_set
    from recipes.evaluation.review import export_review

    systems = pairs_of(answers, "--answers", "NAME=FILE")
    items, problems = read_test_set(data, files=files_of(files), fold=fold)
    folder, left_out = export_review(items[:limit], systems, output, seed)
    name_problems(problems + left_out)
    console.print(f"-> {folder / 'review.html'}, {folder / 'review.xlsx'}; who wrote what: {folder / 'key.json'}")


@app.command("review-import")
def review_import(
    folder: Annotated[Path, typer.Argument(help="Folder that `gem eval review-export` wrote.")],
    sheets: Annotated[list[Path], typer.Argument(help="Filled sheets: JSON saved by review.html, or XLSX.")],
) -> None:
    """Filled sheets back: scores by system, weighted kappa, marked passages, in review.json and review.md beside the key.

    Example: gem eval review-import outputs/review my_review-ab.json my_review-cd.xlsx
    """
    from recipes.evaluation.review import import_reviews, review_json, review_markdown
    from recipes.files import atomic_write, write_json

    reviews = import_reviews(folder, sheets)
    write_json(folder / "review.json", review_json(reviews), indent=1, ensure_ascii=False)
    atomic_write(folder / "review.md", review_markdown(reviews))
    console.print(review_markdown(reviews).partition("## Problems")[0])
    console.print(f"-> {folder / 'review.md'}")
    if reviews.problems:
        name_problems(reviews.problems)
        raise typer.Exit(1)


@app.command()
def reasoning(
    context: typer.Context,
    data: Annotated[
        Path, typer.Argument(help="ECG-Reasoning-Benchmark: its data folder, or one of its JSON or JSON Lines files.")
    ],
    output: OutputOption,
    files: Annotated[
        list[str] | None, typer.Option("--files", help="ptbxl=FOLDER, mimic_iv_ecg=FOLDER: where the ECGs lie.")
    ] = None,
    answers: Annotated[
        Path | None, typer.Option(help="Replies in the benchmark's layout (model_response) instead of a model's.")
    ] = None,
    model: ModelOption = "",
    modality: ModalityOption = "both",
    engine: EngineOption = "transformers",
    batch_size: BatchOption = 8,
    limit: Annotated[int | None, typer.Option(help="Only the first samples.")] = None,
) -> None:
    """ECG-Reasoning-Benchmark: closed questions from criterion to wave and value, by its heuristic rules.

    With --files the measuring engine answers all samples, and --model those whose ECGs are held out.

    \b
    gem eval reasoning my_reasoning --files ptbxl=my_ptbxl -o outputs/reasoning
    gem eval reasoning my_reasoning --files ptbxl=my_ptbxl --model tiny -o outputs/reasoning
    gem eval reasoning tests/fixtures/evaluation/reasoning --answers tests/fixtures/evaluation/reasoning -o outputs/theirs
    """
    from processing.chat_gem import as_modality
    from recipes.evaluation.reasoning import evaluate
    from recipes.evaluation.reasoning.dialogue import model_responses
    from recipes.evaluation.reasoning.samples import read_reasoning

    if not files and answers is None:
        raise typer.BadParameter("give --files with the ECGs, or --answers with replies")
    if model and not files:
        raise typer.BadParameter("a model needs the ECGs; name their folder", param_hint="--files")
    lock(context, output)
    samples = read_reasoning(data)[:limit]
    run = evaluate.ReasoningRun(samples, set())
    if files:
        ecgs, run.held_out, run.problems = evaluate.find_ecgs(samples, files_of(files))
        with progress_bar("measurements") as step:
            replies = evaluate.run_engine(run, ecgs, step)
        evaluate.write_responses(output / "engine.jsonl", samples, replies)
        if model:
            held_out = [sample for sample in samples if sample.id in run.held_out]
            with progress_bar("answers") as step:
                path = output / "answers.jsonl"
                said = model_responses(
                    model_source(model), held_out, ecgs, path, as_modality(modality), batch_size, engine, step
                )
            evaluate.write_responses(output / "model.jsonl", samples, said)
            evaluate.add_responses(run, "model", said, held_out)
    if answers is not None:
        evaluate.add_responses(run, answers.stem, evaluate.read_responses(answers), samples)
    finish(evaluate.reasoning_report(run, data.name, model_source(model) if model else None), output)


@app.command("ecg-qa")
def ecg_qa(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="ECG-QA: a JSON file of questions, or a folder of them.")],
    output: OutputOption,
    ptbxl: Annotated[Path, typer.Option(help="PTB-XL: its folder as published, or Parquet files.")],
    model: ModelOption = "",
    modality: ModalityOption = "both",
    engine: EngineOption = "transformers",
    batch_size: BatchOption = 8,
    limit: Annotated[int | None, typer.Option(help="Only the first questions about held-out ECGs.")] = None,
) -> None:
    """ECG-QA's questions about single held-out ECGs: scores of a model, of the measured lead quality and of blind answers.

    Example: gem eval ecg-qa my_ecg_qa.json --ptbxl my_ptbxl --model tiny -o outputs/ecg_qa
    """
    from recipes.evaluation import ecg_qa as qa
    from recipes.evaluation.answers import read_answers

    lock(context, output)
    questions, left_out = qa.read_ecg_qa(data, ptbxl)
    run = qa.QaRun([question for question in questions if question.held_out][:limit])
    if left_out:
        console.print(f"left out: {', '.join(left_out)}")
    if model:
        path = answers_file(model, None, [q.item for q in run.questions], output, modality, batch_size, 24, engine)
        file, ids = read_answers(path), [q.item.id for q in run.questions]
        texts, run.notes = file.texts_for(ids, limit is not None), file.cut_off_notes(ids)
        run.columns["model"] = [text or "" for text in texts]
    known = [question for question in questions if not question.held_out]
    run.columns["engine"] = qa.answer_by_quality(run.questions, known, run.problems)
    run.columns["blind"] = qa.answer_blind(run.questions, known)
    finish(qa.qa_report(run, data.stem, model_source(model) if model else None), output)


@app.command()
def measurements(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="ECGs: a folder of files, PTB-XL or SPH.")],
    output: OutputOption,
    format: Annotated[
        str, typer.Option(help="What the data are: folder, ptb-xl, sph (any importer's name).")
    ] = "folder",
    table: Annotated[
        Path | None,
        typer.Option(
            help="PTB-XL+'s folder, SPH's metadata.csv or a CSV; without it, what the files' own headers state."
        ),
    ] = None,
    limit: LimitOption = None,
) -> None:
    """PR, QRS, QT, axes and amplitudes beside those of other engines and devices: bias, limits of agreement, Bland-Altman plots.

    All pairs are in pairs.csv.

    \b
    gem eval measurements my_ptbxl --format ptb-xl --table my_ptbxl_plus -o outputs/plus
    gem eval measurements my_sph --format sph --table my_sph/metadata.csv -o outputs/sph
    gem eval measurements my_device_files -o outputs/headers
    """
    from recipes.evaluation.measurements import measure, measurement_report, pairs_table, read_values
    from recipes.files import atomic_write
    from recipes.sources import import_source

    lock(context, output)
    tables = None if table is None else read_values(table)
    with progress_bar("measurements") as step:
        run = measure(import_source(format, str(data)), tables, limit, lambda done: step(done, done))
    atomic_write(output / "pairs.csv", pairs_table(run).to_csv(index=False))
    finish(measurement_report(run, data.name), output)


@app.command()
def ptbxl(
    ptbxl: Annotated[Path, typer.Option(help="PTB-XL: its folder as published, or Parquet files.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="JSON with scores and answers.")],
    model: ModelOption = TINY,
    batch_size: BatchOption = 16,
    limit: LimitOption = None,
    fold: Annotated[int, typer.Option(help="Of PTB-XL; what is learned from must not be in it.")] = 9,
    views: Annotated[
        list[str] | None,
        typer.Option("--view", help="both, signal, image, photographed, zeroed or another; repeatable. Default: all."),
    ] = None,
    questions: Annotated[int, typer.Option(help="Number of records that are asked a question of each kind.")] = 100,
    junk: Annotated[int, typer.Option(help="Number of inputs that are not ECGs.")] = 200,
) -> None:
    """Score a model that answers in the format of the embedded one on a fold of PTB-XL: classes, numbers, claims, questions, junk.

    Example: gem eval ptbxl --ptbxl PTBXL --output scores.json --limit 32
    """
    from recipes.embedded import scores

    scores.main([ptbxl], output, model, fold, batch_size, limit, views, questions=questions, junk=junk)


@app.command()
def photos(
    context: typer.Context,
    ptbxl: Annotated[Path, typer.Argument(help="PTB-XL: its folder as published, or Parquet files.")],
    output: OutputOption,
    model: ModelOption = TINY,
    batch_size: BatchOption = 16,
    limit: LimitOption = None,
    fold: Annotated[int, typer.Option(help="Of PTB-XL; what is learned from must not be in it.")] = 9,
) -> None:
    """Photographed pages read by a model as pictures, with the signal that is recovered from them, and the signal itself.

    Example: gem eval photos my_ptbxl -o outputs/photos --limit 100
    """
    from itertools import islice

    from transformers import pipeline

    from modeling_gem import GEM_TASK
    from recipes.embedded.photo_scores import answer, photo_report, photographed
    from recipes.sources.ptbxl import read_ptbxl

    lock(context, output)
    items = list(islice(read_ptbxl(ptbxl, (fold,)), limit))
    with progress_bar("photos") as step:
        run = photographed(items, step)
    answer(run, pipeline(GEM_TASK, model=model_source(model), dtype="float32"), batch_size)
    finish(photo_report(run, fold, model_source(model)), output)


@app.command()
def probe(
    context: typer.Context,
    ptbxl: Annotated[Path, typer.Argument(help="PTB-XL: its folder as published, or Parquet files.")],
    output: OutputOption,
    model: Annotated[str, typer.Option("--model", "-m", help="GEM or saved ECG tower, folder or Hub id.")] = TINY,
    batch_size: BatchOption = 32,
    seed: Annotated[int, typer.Option(help="Seed of the random weights that the model is compared with.")] = 0,
) -> None:
    """Linear probe of an ECG tower: AUC of PTB-XL's superclasses from frozen tokens, beside the same tower with random weights.

    Example: gem eval probe my_ptbxl -o outputs/probe --model tiny
    """
    from recipes.evaluation.probe import load_tower, probe_report, random_tower, token_means
    from recipes.evaluation.probe import probe as run_probe
    from recipes.sources.ptbxl import read_ptbxl

    lock(context, output)
    source = model_source(model)
    tower, extractor = load_tower(source)
    with progress_bar("records") as step:
        features, problems = token_means(
            [tower, random_tower(tower, seed)], extractor, read_ptbxl(ptbxl), batch_size, lambda done: step(done, done)
        )
    found, chance = (run_probe(each) for each in features)
    finish(probe_report(found, chance, features[0], problems, source), output)


__all__ = ["app"]
