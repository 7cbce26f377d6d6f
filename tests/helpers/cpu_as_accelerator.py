# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`recipes.training.sft` on CPU processes that accelerate takes for accelerators.

    accelerate launch --config_file recipes/configs/accelerate/fsdp2.yaml --num_processes 2 \
        -m tests.helpers.cpu_as_accelerator --config SETTINGS

accelerate turns FSDP and DeepSpeed on beside accelerators alone and trains with plain DDP, or one process, without them. What
is replaced here is its answer to "which backend, which kind of device" and nothing else: the wrapping, sharding, saving and
resuming that follow are those of GPUs, over gloo. `use_cpu` must stay false, since accelerate takes it for "no accelerator".
A process that is not done after `STUCK_AFTER` seconds, if set, prints the stacks of its threads and ends.
"""

import faulthandler
import os
from typing import Any

from accelerate import PartialState
from accelerate.utils import DistributedType

STUCK_AFTER = "GEM_TEST_STUCK_AFTER"


def gloo_accelerator(*_: Any, **__: Any) -> tuple[str, DistributedType]:
    return "gloo", DistributedType.MULTI_GPU


if __name__ == "__main__":
    from recipes.console import run_script
    from recipes.training import sft

    if seconds := os.environ.get(STUCK_AFTER):
        faulthandler.dump_traceback_later(float(seconds), exit=True)
    os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
    PartialState._prepare_backend = gloo_accelerator
    run_script(sft.main)
