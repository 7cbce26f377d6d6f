# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`pipeline("ecg-text-to-text")`: records, arrays, pictures or chats in, interpretations out."""

import os
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import islice
from typing import Any

import torch
from transformers import GenerationConfig, Pipeline
from transformers.dynamic_module_utils import custom_object_save
from transformers.utils import TRANSFORMERS_DYNAMIC_MODULE_NAME

from .transformers_compat import generate_arguments

GEM_TASK = "ecg-text-to-text"
PREPROCESS_NAMES = (
    "question", "image", "modality", "sampling_rate", "leads", "unit", "gain", "index", "missing_leads", "start",
    "seconds", "digitize",
)  # fmt: skip
POSTPROCESS_NAMES = (
    "return_measurements", "return_page", "return_full_text", "skip_special_tokens", "grounding", "n", "seed",
)  # fmt: skip
# The checker stays at home when this file travels with a model: it is asked for by its name.
CHECKER = "modeling_gem.interpretation"
NO_CHECKER = "off (install gem-ecg to check)"


class GemPipeline(Pipeline):
    r"""
    Interprets ECGs. Batches are built by the processor, so that each sample may have a signal, a picture or both. A chat without them is refused.

    Example:

    ```python
    >>> import modeling_gem
    >>> from transformers import pipeline

    >>> interpret = pipeline("ecg-text-to-text", model=str(modeling_gem.default_checkpoint()))
    >>> result = interpret("processing/samples/normal.hea", question="What is the rhythm?", return_measurements=True)
    >>> sorted(result)
    ['claims', 'generated_text', 'grounding', 'measurements', 'missing', 'scores', 'spans', 'verdicts']
    >>> records = ["processing/samples/normal.hea", "processing/samples/atrial_fibrillation.hea"]
    >>> len(interpret(records, batch_size=2, modality="signal", max_new_tokens=8))
    2

    ```"""

    _load_processor = True
    _load_image_processor = False
    _load_feature_extractor = False
    _load_tokenizer = False
    _pipeline_calls_generate = True
    _default_generation_config = GenerationConfig(max_new_tokens=256)

    def _sanitize_parameters(self, generate_kwargs: dict[str, Any] | None = None, **kwargs):
        preprocess = {name: kwargs.pop(name) for name in PREPROCESS_NAMES if name in kwargs}
        postprocess = {name: kwargs.pop(name) for name in POSTPROCESS_NAMES if name in kwargs}
        return preprocess, {**(generate_kwargs or {}), **kwargs}, postprocess

    def __call__(self, inputs: Any, *, batch_size: int | None = None, **kwargs: Any) -> Any:
        r"""
        Args:
            inputs: A path to an ECG or a picture, an array (leads, samples), an `EcgRecord`, a PIL image, a chat, a dict
                with any of the keyword arguments below and `ecg`; or a list of these (a list comes back), or a dataset or
                generator (results are yielded as they come).
            batch_size (`int`, *optional*): Samples per forward pass.
            question (`str`, *optional*): What to ask; the processor's default question if not given.
            image (*optional*): A picture that goes with the ECG. If not given, a page is drawn from the signal.
            modality (`"both"`, `"signal"` or `"image"`, *optional*): What the model sees of a record.
            sampling_rate, leads, unit, gain, index, missing_leads, start, seconds (*optional*): As in `load_ecg`.
            return_measurements (`bool`, *optional*): Add `measurements`, the grounding features of the record.
            return_page (`bool`, *optional*): Add `page`, the picture that the model saw.
            return_full_text (`bool`, *optional*): `generated_text` is the whole chat, with the answer as its last message.
            grounding (`str`, *optional*, defaults to `"flag"`): What is done with the answer's claims. `"flag"` checks them
                against the waveform; `"select"` tries up to `n` answers and takes the one whose claims hold best;
                `"correct"` also replaces or strikes out what is still contradicted; `"off"` does nothing.
            n, seed (`int`, *optional*, defaults to 8 and 0): Of `"select"` and `"correct"`.
            **kwargs: Everything `generate` takes.

        Returns:
            A dict per input with `generated_text`, which `"flag"` never alters, and `grounding`: what was done, or why it was
            not (`"off (picture only)"`, `"off (install gem-ecg to check)"`). Where claims were checked also `claims` with
            verdicts and evidence, `spans` of the text that make them, `verdicts` in words, `scores` and `missing` findings.
            `cut_off` is true for an answer that ends at `max_new_tokens`, whose unfinished last word is not checked.
            `denied_ecg` is a sentence where the answer calls this no ECG and the waveform has heartbeats. `cautions` are sentences
            about a doubtful recording, such as exchanged electrodes.
            `question_doubt` names words of the question that the model was not taught, if it has any.
            With `num_return_sequences`, a list of as many dicts.
        """
        preprocess, forward, postprocess = self._sanitize_parameters(**kwargs)
        params = (
            {**self._preprocess_params, **preprocess},
            {**self._forward_params, **forward},
            {**self._postprocess_params, **postprocess},
        )
        if self.processor.is_one_input(inputs):
            return self.run_single([inputs], *params)[0]
        results = self._run_batches(inputs, batch_size or self._batch_size or 1, params)
        return list(results) if isinstance(inputs, (list, tuple)) else results

    def _run_batches(self, inputs: Iterable[Any], batch_size: int, params: tuple) -> Iterator[dict[str, Any]]:
        iterator = iter(inputs)
        while batch := list(islice(iterator, batch_size)):
            yield from self.run_single(batch, *params)

    def preprocess(self, inputs: list[Any], **source: Any) -> dict[str, Any]:
        """A batch of records, pictures or chats as the model's padded inputs, with the chats.

        Raises:
            GemError: A chat holds no ECG and no picture, or an input cannot be read.
        """
        conversations = [self.processor.build_conversation(item, **source) for item in inputs]
        for conversation in conversations:
            self.processor.must_show_ecg(conversation)
        model_inputs = self.processor.apply_chat_template(
            conversations,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            draw_page=False,
            processor_kwargs={"padding": True},
        )
        return {"model_inputs": model_inputs, "conversations": conversations}

    def _forward(self, inputs: dict[str, Any], **generate_kwargs: Any) -> dict[str, Any]:
        model_inputs, given = inputs["model_inputs"], dict(generate_kwargs)
        generate_kwargs = generate_arguments(self, generate_kwargs, return_dict_in_generate=False)
        sequences = self.model.generate(**model_inputs, **generate_kwargs)
        answers = sequences[:, model_inputs["input_ids"].shape[1] :]
        cut_off = cut_off_rows(answers, generate_kwargs, self.model.generation_config)
        return {"answers": answers, "cut_off": cut_off, "conversations": inputs["conversations"], "generation": given}

    def postprocess(
        self,
        outputs: dict[str, Any],
        return_measurements: bool = False,
        return_page: bool = False,
        return_full_text: bool = False,
        skip_special_tokens: bool = True,
        grounding: str = "flag",
        **selection: int,
    ) -> list[dict[str, Any]] | list[list[dict[str, Any]]]:
        """Texts of the generated ids, checked against the waveform as `grounding` says; a list for each record that got several."""
        texts = self.processor.post_process_image_text_to_text(
            outputs["answers"], skip_special_tokens=skip_special_tokens
        )
        results = [{"generated_text": text.strip()} for text in texts]
        copies = len(results) // len(outputs["conversations"])
        conversations = [conversation for conversation in outputs["conversations"] for _ in range(copies)]
        how = {"grounding": grounding, "generation": outputs["generation"], **selection}
        for result, conversation, cut_off in zip(results, conversations, outputs["cut_off"], strict=True):
            if cut_off:
                result["cut_off"] = True
            if doubt := self.processor.question_doubt(conversation):
                result["question_doubt"] = doubt
            result |= self._checked(result, conversation, how)
            if return_measurements:
                result["measurements"] = self.processor.measurements(conversation)
            if return_page:
                result["page"] = self.processor.picture(conversation)
            if return_full_text:
                answer = {"role": "assistant", "content": result["generated_text"]}
                result["generated_text"] = [*conversation, answer]
        return results if copies == 1 else [results[i : i + copies] for i in range(0, len(results), copies)]

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs: Any) -> None:
        """Saves model and processor so that `pipeline` takes the folder as it took the one they came from."""
        if type(self).__module__.startswith(f"{TRANSFORMERS_DYNAMIC_MODULE_NAME}."):
            os.makedirs(save_directory, exist_ok=True)
            custom_object_save(self, save_directory)
        self.model.save_pretrained(save_directory, **kwargs)
        self.processor.save_pretrained(save_directory, **kwargs)

    def _checked(self, result: dict[str, Any], conversation: list[dict], how: dict[str, Any]) -> dict[str, Any]:
        """The text of a result with the verdicts of the waveform on it."""
        if how["grounding"] == "off":
            return {"grounding": "off"}
        try:
            checker = import_module(CHECKER)
        except ImportError:
            return {"grounding": NO_CHECKER}
        text, cut_off = result["generated_text"], result.pop("cut_off", False)
        found = checker.check_conversation(self, conversation, text, cut_off=cut_off, **how)
        return {"generated_text": str(found.text), **found.marks()}


def cut_off_rows(answers: torch.Tensor, given: dict[str, Any], default: GenerationConfig) -> list[bool]:
    """Which answers end at the length limit: without an end of sequence, with as many tokens as allowed.

    Args:
        answers: ids (answers, tokens), padded on the right.
        given: arguments of `generate`.
        default: the model's settings, for what is not given.
    """
    configs = [given.get("generation_config"), default]

    def setting(name: str) -> Any:
        values = [given.get(name), *(getattr(config, name, None) for config in configs)]
        return next((value for value in values if value is not None), None)

    allowed, ends = setting("max_new_tokens"), setting("eos_token_id")
    if allowed is None or answers.shape[1] < allowed:
        return [False] * len(answers)
    last = answers[:, allowed - 1]
    over = [*(ends if isinstance(ends, list) else [ends]), setting("pad_token_id")]
    return (
        ~torch.isin(last, torch.tensor([token for token in over if token is not None], device=last.device))
    ).tolist()


__all__ = ["GEM_TASK", "GemPipeline"]
