# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The origin of an answer: the model, the rules that checked it, the version; and the notice that this is not a medical device."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from transformers.utils import cached_file

import processing
from recipes.models import NOT_A_DEVICE

# Of a model's folder all that an answer depends on.
_MODEL_FILES = ("*.json", "*.safetensors", "*.bin", "*.jinja", "*.model", "*.txt")
# What decides a verdict: limits, rules of findings, the reading of claims and their check.
_RULE_FILES = ("ecg_limits.py", "ecg_quality.py", "ecg_rules.py", "claims/*.py", "grounding/*.py")


@dataclass(frozen=True)
class Provenance:
    """Goes with every answer.

    Attributes:
        model: the name under which it is served.
        model_sha: SHA-256 of the model's weights, configuration, tokenizer and template.
        rules_version: the first 12 digits of the SHA-256 of the rules by which claims are checked.
        version: of gem-ecg.
    """

    model: str
    model_sha: str
    rules_version: str
    version: str
    notice: str = NOT_A_DEVICE

    def to_dict(self) -> dict[str, str]:
        """As an answer has it, under `gem`."""
        return asdict(self)

    def headers(self) -> dict[str, str]:
        """As it is in the head of a response, whose body may be a picture."""
        return {
            "x-gem-model-sha": self.model_sha,
            "x-gem-rules-version": self.rules_version,
            "x-gem-version": self.version,
            "x-gem-notice": self.notice,
        }


def provenance_of(source: str | Path, name: str = "") -> Provenance:
    """What every answer states about its origin: model, rules and version.

    Args:
        source: the model's folder or Hub id, loaded before.
        name: under which it is served; its own if not given.

    Raises:
        OSError: there is no such model.
    """
    folder = Path(str(cached_file(str(source), "config.json"))).parent
    own = Path(source).resolve().name if Path(source).is_dir() else str(source)
    files = {path for pattern in _MODEL_FILES for path in folder.glob(pattern)}
    return Provenance(name or own, _sha(files), rules_version(), package_version())


def rules_version() -> str:
    """A version that changes with every change of a rule, a limit or the claim parser."""
    folder = Path(str(processing.__file__)).parent
    return _sha(path for pattern in _RULE_FILES for path in folder.glob(pattern))[:12]


def package_version() -> str:
    """Of gem-ecg, where it is installed."""
    try:
        return version("gem-ecg")
    except PackageNotFoundError:
        return "not installed"


def _sha(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.name):
        with path.open("rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


__all__ = ["Provenance", "package_version", "provenance_of", "rules_version"]
