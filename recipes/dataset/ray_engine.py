# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The stages of a build on Ray Data: one row of the pipeline is a shard, so that its file is what any other engine writes.

Measuring runs on every core of the cluster; teaching is a stage of its own, whose actors hold a local model or an
endpoint's limits; writing goes to a folder that all nodes share. Shards that are complete are never sent.
"""

from collections.abc import Iterator
from functools import partial

from .plan import Shard
from .ray_cluster import RayCluster, Stage
from .settings import BuildSettings
from .shards import ShardNote, write_shard
from .stages import Batch, answer, measure


class RayEngine:
    """Makes shards on a Ray cluster.

    Args:
        address: see `RayCluster`.
        teachers: actors that teach at the same time.
        teacher_gpus: GPUs of each, for a local model.
        local_cpus: cores of a cluster of its own.
    """

    def __init__(
        self, address: str = "auto", teachers: int = 1, teacher_gpus: float = 0, local_cpus: int | None = None
    ) -> None:
        self.cluster = RayCluster(address, local_cpus)
        self.teachers, self.teacher_gpus = teachers, teacher_gpus

    def __call__(self, shards: list[Shard], settings: BuildSettings) -> Iterator[ShardNote]:
        """
        The notes of the shards as they are finished.

        Raises:
            GemError: see `RayCluster.run`.
        """
        stages = (
            Stage(partial(_measure, settings=settings)),
            Stage(partial(_Teach, settings), self.teachers, cpus=0.5, gpus=self.teacher_gpus),
            Stage(partial(_write, settings=settings), cpus=0.25),
        )
        return self.cluster.run(shards, stages)


def _measure(shard: Shard, _: None, settings: BuildSettings) -> Batch:
    return measure(shard.records, settings)


class _Teach:
    """The stage that holds a teacher, once per actor."""

    def __init__(self, settings: BuildSettings) -> None:
        self.settings = settings

    def __call__(self, _: Shard, batch: Batch) -> Batch:
        return answer(batch, self.settings)


def _write(shard: Shard, batch: Batch, settings: BuildSettings) -> ShardNote:
    return write_shard(batch, shard, settings)


__all__ = ["RayEngine"]
