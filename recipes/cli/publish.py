# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`gem publish`: models, data sets and Spaces to the Hub, checked before anything leaves the machine."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn
from rich.table import Table

from recipes.console import console, errors

if TYPE_CHECKING:
    from huggingface_hub import DatasetCard, ModelCard

    from recipes.publishing.plan import PublishPlan

app = typer.Typer(
    no_args_is_help=True,
    help="Publish a model, a data set or a Space on the Hub. Log in first: `hf auth login`, or HF_TOKEN.",
)

RepoArgument = Annotated[str, typer.Argument(help="`name/repository`; created if it does not exist.")]
PrivateOption = Annotated[bool, typer.Option("--private", help="Create the repository as a private one.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show files, sizes and metadata; send nothing.")]
RevisionOption = Annotated[str | None, typer.Option(help="Branch; created if it does not exist.")]
CredentialedOption = Annotated[
    bool, typer.Option("--allow-credentialed", help="Confirm that you may pass on the MIMIC or eICU data in it.")
]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option(help="Pattern of further files to send, e.g. 'extra/*'; repeatable. Look into them first."),
]
LicenceOption = Annotated[str | None, typer.Option("--license", help="The Hub's identifier, e.g. cc-by-4.0.")]


@app.command()
def model(
    path: Annotated[Path, typer.Argument(help="Folder with a saved GEM and its processor.")],
    repo: RepoArgument,
    private: PrivateOption = False,
    dry_run: DryRunOption = False,
    revision: RevisionOption = None,
    include: IncludeOption = None,
    allow_credentialed: CredentialedOption = False,
    max_shard_size: Annotated[str, typer.Option(help="Largest weight file.")] = "5GB",
    base_model: Annotated[list[str] | None, typer.Option(help="Base model, for a new card; repeatable.")] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Data it was trained on, for a new card; repeatable.")
    ] = None,
    scores: Annotated[Path | None, typer.Option(help="What recipes.embedded.scores wrote, for a new card.")] = None,
    watts: Annotated[
        float | None, typer.Option(help="Power while it trained: with the measured hours, the energy.")
    ] = None,
    licence: LicenceOption = None,
) -> None:
    """Model, processor, the code that loads them without gem-ecg, and a card, in one commit.

    The folder's README.md is the card; if there is none, one is written from what the folder and the options say.

    \b
    gem publish model outputs/sft me/my-gem --dry-run
    gem publish model outputs/sft me/my-gem --dataset PTB-XL --scores scores.json --private
    """
    from recipes.publishing import model_card
    from recipes.publishing.checks import check_credentials, credentialed_sources
    from recipes.publishing.plan import plan_model
    from recipes.scores import ptbxl_scores

    def card(stage: Path) -> "ModelCard":
        stages, hours = model_card.trainer_stages(path)
        energy = model_card.Energy(hours, watts) if hours is not None and watts is not None else None
        return model_card.model_card(
            stage,
            name=repo.rpartition("/")[2],
            repo=repo,
            base_models=base_model or (),
            datasets=dataset or (),
            licence=licence,
            tables=[ptbxl_scores(json.loads(scores.read_text()))] if scores is not None else (),
            training=model_card.Training(stages, energy) if stages else None,
        )

    with tempfile.TemporaryDirectory(prefix="gem-publish-") as stage:
        plan = plan_model(_folder(path), Path(stage), card, max_shard_size, include or ())
        # The text of a model's card may mention MIMIC without any of it inside; its metadata say what it was made from.
        check_credentials(credentialed_sources([], plan.metadata, ""), allow_credentialed)
        _send(plan, repo, private, dry_run, revision)


@app.command()
def dataset(
    path: Annotated[Path, typer.Argument(help="Folder of Parquet files, or what `save_to_disk` wrote.")],
    repo: RepoArgument,
    private: PrivateOption = False,
    dry_run: DryRunOption = False,
    revision: RevisionOption = None,
    include: IncludeOption = None,
    allow_credentialed: CredentialedOption = False,
    ids: Annotated[
        Literal["hash", "stem"],
        typer.Option(help="hash: publish hashes instead of the names of your own files; stem: publish the names."),
    ] = "hash",
    licence: LicenceOption = None,
) -> None:
    """Parquet shards and a card in one commit, after a search for content that must not be public.

    Only tables, texts and pictures are sent. Refused are columns named like identities (patient_name, birth_date, mrn, ...), texts
    with device headers, keys and tokens, pickles, and data of MIMIC or eICU without --allow-credentialed.

    \b
    gem publish dataset outputs/grounding me/ecg-grounding-small --dry-run
    """
    from recipes.dataset.card import dataset_card
    from recipes.publishing.plan import plan_dataset

    def card(stage: Path) -> "DatasetCard":
        return dataset_card(stage, name=repo.rpartition("/")[2], repo=repo, licence=licence)

    with tempfile.TemporaryDirectory(prefix="gem-publish-") as stage:
        plan = plan_dataset(_folder(path), Path(stage), card, allow_credentialed, include or (), ids)
        _send(plan, repo, private, dry_run, revision)


@app.command()
def space(
    path: Annotated[Path, typer.Argument(help="Folder with app.py and a README.md that has the Space's YAML block.")],
    repo: RepoArgument,
    private: PrivateOption = False,
    dry_run: DryRunOption = False,
    revision: RevisionOption = None,
    include: IncludeOption = None,
) -> None:
    """A Space; the packages of gem-ecg go with it if its code imports them.

    Example: gem publish space hub_cards/space me/gem-demo --dry-run
    """
    from recipes.publishing.plan import plan_space

    with tempfile.TemporaryDirectory(prefix="gem-publish-") as stage:
        _send(plan_space(_folder(path), Path(stage), include or ()), repo, private, dry_run, revision)


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise typer.BadParameter(f"{path} is not a folder", param_hint="PATH")
    return path


def _send(plan: "PublishPlan", repo: str, private: bool, dry_run: bool, revision: str | None) -> None:
    if plan.hidden_ids:
        errors.print(
            f"{plan.hidden_ids:,} rows of your own files: ids and patients go as hashes, whose key stays in .build/publish.key "
            "(--ids stem publishes them as they are)."
        )
    if dry_run:
        _show(plan, repo, revision)
        return
    from recipes.publishing.upload import upload

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task("upload", total=sum(plan.sizes.values()))
        show: Callable[[int, int], None] = lambda done, total: progress.update(task, completed=done)  # noqa: E731
        commit = upload(plan, repo, private=private, revision=revision, progress=show)
    console.print(f"{len(plan.files)} files, {sum(plan.sizes.values()) / 1e6:.1f} MB -> {commit.commit_url}")


def _show(plan: "PublishPlan", repo: str, revision: str | None) -> None:
    table = Table("file", "bytes", title=f"{plan.repo_type} {repo}@{revision or 'main'}", title_justify="left")
    table.columns[1].justify = "right"
    for name, size in plan.sizes.items():
        table.add_row(name, f"{size:,}")
    table.add_row(f"{len(plan.files)} files", f"{sum(plan.sizes.values()):,}")
    console.print(table, soft_wrap=False)
    if plan.left_out:
        console.print(f"left out: {', '.join(plan.left_out)}")
    console.print("metadata of the card:")
    console.print(plan.card.data.to_yaml())
    console.print("nothing was sent (--dry-run)")


__all__ = ["app"]
