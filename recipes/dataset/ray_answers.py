# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Answers about many ECGs on a Ray cluster: tasks read, measure and draw on every core, actors hold the model."""

from collections.abc import Iterator, Sequence
from functools import partial

from .answer_file import Answering, AnswerSettings, Batch, Part, prepare
from .ray_cluster import RayCluster, Stage


class RayAnswers:
    """Makes parts on a Ray cluster.

    Args:
        address: see `RayCluster`.
        models: actors that hold the model.
        gpus: of each, in parts of one too.
        local_cpus: cores of a cluster of its own.
    """

    def __init__(
        self, address: str = "auto", models: int = 1, gpus: float = 0.0, local_cpus: int | None = None
    ) -> None:
        self.cluster = RayCluster(address, local_cpus)
        self.models, self.gpus = models, gpus

    def __call__(self, parts: Sequence[Part], settings: AnswerSettings) -> Iterator[dict[str, float]]:
        """The notes of the parts as they are finished.

        Raises:
            GemError: see `RayCluster.run`.
        """
        stages = (
            Stage(partial(_prepare, settings=settings)),
            Stage(partial(Answering, settings), self.models, cpus=0.5, gpus=self.gpus),
        )
        return self.cluster.run(parts, stages)


def _prepare(part: Part, _: None, settings: AnswerSettings) -> Batch:
    return prepare(part, settings)


__all__ = ["RayAnswers"]
