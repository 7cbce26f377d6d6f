# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The options with which users state what a record's file does not, shared by all commands that read records, and the exit codes."""

import dataclasses
import functools
import inspect
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from processing.ecg_assembly import NO_LEAD
from processing.ecg_lead_names import canonical_lead
from processing.ecg_plausibility import EcgPlausibilityWarning, Plausibility
from processing.ecg_readers import MissingLeads, is_picture, load_ecg
from processing.errors_gem import EcgFormatError, EcgLeadError, ReadBudgetError
from processing.untrusted.budget import ReadBudget
from processing.untrusted.reading import load_untrusted, load_untrusted_picture

from .console import console, errors

if TYPE_CHECKING:
    from PIL.Image import Image

    from processing.ecg_record import EcgRecord

DECLINED = 3  # exit code if there is no interpretation because there is no ECG
SUSPECT = 3  # exit code of what was done, but on a record whose scale, leads or sampling rate are suspect
_OF_PART = ("leads", "start", "seconds", "missing_leads")
_OF_SAMPLES = ("sampling_rate", "unit", "gain")  # what a page says by its paper
_PANEL = "What the file does not say"


def _option(names: str, text: str) -> Any:
    return typer.Option(names, help=text, rich_help_panel=_PANEL)


@dataclass(frozen=True)
class RecordOptions:
    """What the user states about a record: the keywords of `load_ecg` as command line options."""

    sampling_rate: Annotated[float | None, _option("--sampling-rate", "Hz.")] = None
    unit: Annotated[str | None, _option("--unit", "Unit of the samples: mV, uV, V or nV.")] = None
    gain: Annotated[str | None, _option("--gain", "Raw counts per mV: one number, or one per lead with commas.")] = (
        None
    )
    leads: Annotated[
        str | None,
        _option("--leads", "Names of the rows, with commas; or, of a file that names its leads, those to use."),
    ] = None
    missing_leads: Annotated[
        MissingLeads,
        _option(
            "--missing-leads",
            "Of the twelve: derive limb leads from two others, mask what is absent too, or refuse the record.",
        ),
    ] = "derive"
    index: Annotated[int | None, _option("--index", "Record to read from a file of several, from 0.")] = None
    start: Annotated[float, _option("--start", "First second to use.")] = 0.0
    seconds: Annotated[float | None, _option("--seconds", "Number of seconds to use. Default: to the end.")] = None

    page: Annotated[
        str | None,
        _option(
            "--page",
            "What a picture's page does not say: layout, speed (mm/s), gain (mm/mV), as layout=3x4+1,speed=50.",
        ),
    ] = None

    def keywords(self) -> dict[str, Any]:
        """The options as keywords of `load_ecg`.

        Raises:
            EcgFormatError: `gain` is not a number.
        """
        said = {field.name: getattr(self, field.name) for field in dataclasses.fields(RecordOptions)}
        said = {name: value for name, value in said.items() if value is not None and name != "page"}
        if self.leads is not None:
            said["leads"] = self.lead_names()
        if self.gain is not None:
            try:
                said["gain"] = [float(value) for value in self.gain.split(",")]
            except ValueError as error:
                raise EcgFormatError(
                    f"--gain is one number or one per lead with commas, got {self.gain!r}."
                ) from error
        return said

    def lead_names(self) -> list[str]:
        """The names of `leads`, one by one."""
        return [name.strip() for name in (self.leads or "").split(",") if name.strip()]

    def of_page(self) -> dict[str, Any]:
        """The statements about a picture's page, as keywords of `digitize_ecg`.

        Raises:
            EcgFormatError: `page` has another form.
        """
        said: dict[str, Any] = {}
        for part in filter(None, (self.page or "").split(",")):
            name, _, value = part.strip().partition("=")
            try:
                said[name] = {"layout": str, "speed": float, "gain": float}[name](value)
            except (KeyError, ValueError) as error:
                raise EcgFormatError(f"--page is such as layout=3x4+1,speed=25,gain=10, got {self.page!r}.") from error
        return said

    def digitize(self, path: Path) -> "EcgRecord":
        """The record that the page in a picture file shows.

        Raises:
            GemError: see `digitize_ecg`.
        """
        from processing.photo import digitize_ecg

        return digitize_ecg(self.load_page(path), name=path.name, **self.of_page())

    def load(self, path: Path) -> "EcgRecord":
        """The record of `path`, read with the user's options; a picture is digitised.

        Raises:
            GemError: see `load_ecg` and `digitize_ecg`.
        """
        if is_picture(path):
            return self._part_of_page(self.digitize(path))
        self._say_unused("recordings", ("page",))
        said = self.keywords()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EcgPlausibilityWarning)  # the verdict says it
            if self.leads is None:
                return self.read(path, **said)
            names = said.pop("leads")
            try:
                record = self.read(path, **{**said, "missing_leads": "derive"})
            except ReadBudgetError:
                raise
            except (EcgFormatError, EcgLeadError) as error:  # without names it cannot be read
                try:
                    return self.read(path, leads=names, **said)
                except EcgLeadError as worse:
                    raise worse if isinstance(error, EcgLeadError) else error from None
            known = {canonical_lead(name) for name in names} <= set(record.leads)
            if known and len(names) < len(record.recorded_leads_only().leads):
                chosen = record.select_leads(names)
                return chosen if self.missing_leads == "derive" else load_ecg(chosen, missing_leads=self.missing_leads)
            try:
                return self.read(path, leads=names, **said)
            except EcgLeadError as error:
                absent = [name for name in names if canonical_lead(name) not in record.leads]
                if not absent or NO_LEAD in names or len(names) == len(record.recorded_leads_only().leads):
                    raise
                raise EcgLeadError(
                    f"{path.name}: {', '.join(absent)} {'is' if len(absent) == 1 else 'are'} not among its leads "
                    f"{', '.join(record.leads)}; choose some of these, or name each of its rows once (`leads`)."
                ) from error

    def _part_of_page(self, record: "EcgRecord") -> "EcgRecord":
        """The leads and the time of a digitised record that are asked for."""
        record = record.select_leads(self.lead_names()) if self.leads is not None else record
        return load_ecg(record, start=self.start, seconds=self.seconds, missing_leads=self.missing_leads)

    def read(self, path: Path, **said: Any) -> "EcgRecord":
        """`load_ecg` itself."""
        return load_ecg(path, **said)

    def load_page(self, path: Path) -> "Image":
        """The page in a picture file.

        Raises:
            GemError: see `page_picture`.
        """
        self._say_unused("pictures", _OF_SAMPLES)
        return self._open_page(path)

    def load_whole_page(self, path: Path) -> "Image":
        """The page in a picture file, all of which a model reads, see `load_page`."""
        self._say_unused("pictures that a model reads", _OF_PART)
        return self.load_page(path)

    def _open_page(self, path: Path) -> "Image":
        from processing.chat_gem import page_picture

        return page_picture(path, self.index)

    def _say_unused(self, kind: str, names: Sequence[str]) -> None:
        """Which of the options `names` were given and change nothing in files of a kind."""
        usual = {field.name: field.default for field in dataclasses.fields(RecordOptions)}
        say_passed_over(kind, *(name for name in names if getattr(self, name) != usual[name]))


def _limit(names: str, text: str) -> Any:
    return typer.Option(names, help=text, rich_help_panel="Files of unknown origin")


_USUAL = ReadBudget()


@dataclass(frozen=True)
class ReadingOptions(RecordOptions):
    """What the user states about a record, and whether its file is trusted; the limits are those of `ReadBudget`."""

    untrusted: Annotated[
        bool,
        _limit(
            "--untrusted", "Read each file in a process with limits; what exceeds them is an error like any other."
        ),
    ] = False
    megabytes: Annotated[int, _limit("--megabytes", "Memory limit of a reading in MB, with --untrusted.")] = (
        _USUAL.megabytes
    )
    cpu_seconds: Annotated[float, _limit("--cpu-seconds", "CPU time limit of a reading in s.")] = _USUAL.cpu_seconds
    wall_seconds: Annotated[float, _limit("--wall-seconds", "Time limit of a reading in s.")] = _USUAL.wall_seconds

    @property
    def budget(self) -> ReadBudget:
        """The limits of memory (MB), CPU time (s) and time (s) for one file."""
        return ReadBudget(self.megabytes, self.cpu_seconds, self.wall_seconds)

    def read(self, path: Path, **said: Any) -> "EcgRecord":
        """`load_ecg`, or `load_untrusted` if the file is not trusted."""
        if not self.untrusted:
            return super().read(path, **said)
        return load_untrusted(path, budget=self.budget, **said)

    def _open_page(self, path: Path) -> "Image":
        if not self.untrusted:
            return super()._open_page(path)
        return load_untrusted_picture(path, self.index, must_show_ecg=True, budget=self.budget)


def with_record_options(verb: Callable[..., None]) -> Callable[..., None]:
    """`verb`, with its parameter `options` spread out into the options of `ReadingOptions` on the command line."""
    return spread(verb, "options", ReadingOptions)


def spread(verb: Callable[..., None], parameter: str, kind: type[Any]) -> Callable[..., None]:
    """`verb`, with one of its parameters, a dataclass of options, spread out into these on the command line."""
    fields = dataclasses.fields(kind)

    @functools.wraps(verb)
    def run(*args: Any, **values: Any) -> None:
        said = {field.name: values.pop(field.name) for field in fields if field.name in values}
        verb(*args, **values, **{parameter: kind(**said)})

    signature = inspect.signature(verb, eval_str=True)
    own = [kept for name, kept in signature.parameters.items() if name != parameter]
    shared = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for field in fields
    ]
    run.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in (*own, *shared)}
    return run


# Messages name keywords of `load_ecg` and limits of `ReadBudget` in backticks; on the command line the same is an option.
_KEYWORD = re.compile(rf"`({'|'.join(field.name for field in dataclasses.fields(ReadingOptions))})(?:=([^`]*))?`")


def as_options(text: object) -> str:
    """A message with the keywords of `load_ecg` as the options that say the same: `` `unit='uV'` `` -> `--unit uV`."""

    def option(match: re.Match[str]) -> str:
        value = re.sub(r"[\[\]'\"]|\.\.\.", "", match[2] or "").replace(", ", ",").strip(",")
        return f"--{match[1].replace('_', '-')}{f' {value}' if value else ''}"

    return _KEYWORD.sub(option, str(text))


def say_verdict(name: object, found: Plausibility, to_errors: bool = False) -> None:
    """One line about a record that is not "ok", before anything else is said of it."""
    if found.verdict != "ok":
        (errors if to_errors else console).print(as_options(f"{name}: {found}"), style="red")


# What is said of a fact that the file does not simply state.
ORIGINS = {
    "given": "given with the options",
    "derived": "derived from what the file says",
    "assumed": "assumed, not stated by the file",
}
ASSUMED = {"name": "names of leads", "unit": "unit", "gain": "gain", "rate": "sampling rate"}


def say_assumed(name: object, record: "EcgRecord") -> None:
    """What neither the file nor the user states of a record and is only assumed, on stderr."""
    for fact, leads in record.assumed.items():
        of = "all leads" if len(leads) == len(record.leads) else ", ".join(leads)
        errors.print(as_options(f"{name}: {ASSUMED.get(fact, fact)} {ORIGINS['assumed']} ({of})"), style="yellow")


@functools.cache
def say_passed_over(kind: str, *names: str) -> None:
    """Which options change nothing in files of a kind, on stderr; once for all files."""
    if names:
        said = ", ".join(f"--{name.replace('_', '-')}" for name in names)
        errors.print(f"not used for {kind}: {said}", style="yellow")


def about(path: Path | str, error: object) -> str:
    """An error with the whole path of its file in front, instead of the file's name alone."""
    path, message = Path(path), str(error)
    for name in (path.name, path.stem):
        message = message.removeprefix(f"{name}: ")
    return f"{path}: {message}"


def keep_sources(target: Path | None, option: str, *sources: Path | str | None) -> None:
    """Refuses to write a result over what it is made from.

    Raises:
        typer.BadParameter: `target` is one of `sources`.
    """
    if target is None or not target.exists():
        return
    if any(source is not None and Path(source).exists() and target.samefile(source) for source in sources):
        raise typer.BadParameter(f"{target} is read by this command; name another file", param_hint=option)


def holds_false_numbers(found: Plausibility) -> bool:
    """Whether the scale, the leads or the sampling rate of a record that is not refused are in doubt."""
    return found.verdict == "suspect" and found.doubts_about("scale", "leads", "time base")


def end_by(found: Plausibility) -> None:
    """Ends the command with exit code 3 where the record may hold false numbers.

    Raises:
        typer.Exit: it does.
    """
    if holds_false_numbers(found):
        raise typer.Exit(SUSPECT)


__all__ = [
    "DECLINED",
    "ORIGINS",
    "SUSPECT",
    "ReadingOptions",
    "RecordOptions",
    "about",
    "as_options",
    "end_by",
    "holds_false_numbers",
    "keep_sources",
    "say_assumed",
    "say_passed_over",
    "say_verdict",
    "spread",
    "with_record_options",
]
