# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Two steps of GRPO on a tiny GEM, on one process or on each of two; run by tests/recipes/training/test_grpo.py.

python -m tests.helpers.grpo_training START OUTPUT BETA
"""

import os
import sys

from recipes.training.grpo_trainer import GemGRPOTrainer
from tests.recipes.training.test_grpo import row, trainer

WORLD = int(os.environ.get("WORLD_SIZE", 1))


class WithFixedAnswers(GemGRPOTrainer):
    """Generates as usual, then trains on fixed answers, which do not depend on the random numbers of a process."""

    def _generate_single_turn(self, prompt_ids, *args, **kwargs):
        super()._generate_single_turn(prompt_ids, *args, **kwargs)
        return [[10 + 7 * (number % 4), 20 + number % 4, 30, 2] for number in range(len(prompt_ids))], None


def main(start: str, output: str, beta: str) -> None:
    gem = trainer(
        start,
        output,
        kind=WithFixedAnswers,
        data=[row(0), row(1, images=[]), row(2), row(3, images=[])],
        per_device_train_batch_size=8 // WORLD,
        gradient_accumulation_steps=1,
        beta=float(beta),
        # Adam would turn a gradient of rounding errors into a whole step.
        optim="sgd",
        learning_rate=0.1,
        claim_credit=1.0,
        shuffle_dataset=False,
    )
    gem.train()
    gem.save_model(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
