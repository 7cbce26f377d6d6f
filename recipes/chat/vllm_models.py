# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Models in vLLM, started by this process: a GEM, and language models for teachers and judges."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from modeling_gem.interpretation import MoreAnswers
from processing.chat_gem import content_blocks
from processing.ecg_features import EcgFeatures
from processing.errors_gem import GemError, MissingDependencyError, TeacherError
from processing.grounding.cut_off import as_answer
from processing.processing_gem import GemProcessor
from recipes.models import checkpoint_errors, default_device, model_source
from recipes.serving.vllm.proven import check_version

from .local import prompt_ids
from .replies import ChatFailure, ChatReply, ChatUsage, Description, Key, Messages, Schema
from .settings import LocalSettings

if TYPE_CHECKING:
    from vllm import LLM

# vLLM makes its own batches of what it is given; so many prompts are read ahead.
AT_ONCE = 64
# ECGs, and pages, in one prompt.
MOST = 8
Chat = list[dict[str, Any]]


class VllmGem:
    """A GEM in vLLM, by the plugin in `recipes/serving/vllm`. Greedy answers are those of Transformers."""

    at_once = AT_ONCE

    def __init__(self, model: str, **options: Any) -> None:
        """
        Args:
            model: folder or Hub id.
            **options: of `vllm.LLM`.

        Raises:
            MissingDependencyError, GemError: see `start`.
            CheckpointError: the model's files cannot be used.
        """
        from transformers import AutoProcessor

        source = model_source(model)
        with checkpoint_errors(source):
            self.processor: GemProcessor = AutoProcessor.from_pretrained(source)
            self.llm = start(source, limit_mm_per_prompt={"ecg": MOST, "image": MOST}, **options)

    def answers(self, chats: Sequence[Chat], max_new_tokens: int) -> list[str | GemError]:
        """See `GemEngine`."""
        from vllm import SamplingParams

        greedy = SamplingParams(temperature=0, max_tokens=max_new_tokens)
        prompts = [prompt_with_ecgs(self.processor, chat) for chat in chats]
        return [_answer(found.outputs[0]) for found in self.llm.generate(prompts, greedy, use_tqdm=False)]

    def more(self, chat: Chat, features: EcgFeatures, seed: int, max_new_tokens: int) -> MoreAnswers:
        """See `GemEngine`; whole answers, the same for the same seed."""
        seeds, prompt = count(seed), prompt_with_ecgs(self.processor, chat)

        def sample(number: int) -> list[str]:
            settings = self.llm.get_default_sampling_params()
            settings.n, settings.seed, settings.max_tokens = number, next(seeds), max_new_tokens
            (found,) = self.llm.generate([prompt], settings, use_tqdm=False)
            return [_answer(output) for output in found.outputs]

        return sample

    def close(self) -> None:
        """Ends vLLM's processes."""
        self.llm.llm_engine.engine_core.shutdown()


class VllmModel:
    """Any language model of vLLM with a chat template: greedy, and constrained to the schema if there is one."""

    is_local = True

    def __init__(self, settings: LocalSettings, **options: Any) -> None:
        """
        Raises:
            TeacherError: the model has no chat template, or is a GGUF file.
            MissingDependencyError, GemError: see `start`.
        """
        if settings.gguf_file:
            raise TeacherError(f"{settings.model}: gguf_file works with the engine transformers only.")
        self.settings = settings
        self.name = settings.model.rstrip("/").split("/")[-1]
        self.description: Description = {"kind": "vllm", "model": settings.model, "temperature": 0.0}
        self.llm = start(settings.model, dtype=settings.dtype, **options)
        self.tokenizer = self.llm.get_tokenizer()
        if not self.tokenizer.chat_template:
            self.close()
            raise TeacherError(f"{settings.model}: no chat template; an instruction-tuned model is needed.")

    def complete_all(
        self, requests: Iterable[tuple[Key, Messages]], schema: Schema | None = None
    ) -> Iterator[tuple[Key, ChatReply | ChatFailure]]:
        """Answers many chats, in their order; a prompt beyond the model's context is a failure (`bad_request`)."""
        source, most = iter(requests), self.settings.max_new_tokens
        while batch := list(islice(source, AT_ONCE)):
            ready: list[tuple[Key, list[int]]] = []
            for key, messages in batch:
                try:
                    limit = self.llm.model_config.max_model_len
                    ready.append((key, prompt_ids(self.tokenizer, messages, schema, limit, most)))
                except ChatFailure as failure:
                    yield key, failure
            for (key, _), reply in zip(ready, self._generate([ids for _, ids in ready], schema), strict=True):
                yield key, reply.judged(schema)

    def close(self) -> None:
        """Ends vLLM's processes."""
        self.llm.llm_engine.engine_core.shutdown()

    def _generate(self, prompts: list[list[int]], schema: Schema | None) -> list[ChatReply]:
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        form = None if schema is None else StructuredOutputsParams(json=dict(schema))
        settings = SamplingParams(temperature=0, max_tokens=self.settings.max_new_tokens, structured_outputs=form)
        given: list[Any] = [{"prompt_token_ids": ids} for ids in prompts]
        replies = []
        for found in self.llm.generate(given, settings, use_tqdm=False) if given else ():
            (output,) = found.outputs
            usage = ChatUsage(len(found.prompt_token_ids or ()), len(output.token_ids), 0.0)
            replies.append(ChatReply(output.text.strip(), usage, output.finish_reason or "stop"))
        return replies


def _answer(output: Any) -> str:
    return as_answer(output.text.strip(), output.finish_reason == "length")


def prompt_with_ecgs(processor: GemProcessor, chat: Chat) -> dict[str, Any]:
    """A finished chat in the form that vLLM takes.

    Args:
        processor: of the GEM.
        chat: from `processor.build_conversation`.

    Returns:
        `prompt_token_ids` with one placeholder for each ECG and picture, and `multi_modal_data` with the ECGs and pictures in order.
    """
    bare = [
        {**message, "content": [_bare(block) for block in message["content"]]}
        if isinstance(message["content"], list)
        else message
        for message in chat
    ]
    text = processor.apply_chat_template(bare, add_generation_prompt=True, draw_page=False)
    tokenizer, blocks = processor.tokenizer, content_blocks(chat)
    # As Transformers does: a template that writes the first token has said so.
    begun = tokenizer.bos_token is not None and text.startswith(tokenizer.bos_token)
    given = {name: [block[name] for block in blocks if block["type"] == name] for name in ("ecg", "image")}
    return {
        "prompt_token_ids": tokenizer(text, add_special_tokens=not begun)["input_ids"],
        "multi_modal_data": {name: items for name, items in given.items() if items},
    }


def _bare(block: dict[str, Any]) -> dict[str, Any]:
    return block if block["type"] == "text" else {"type": block["type"]}


def start(model: str, **options: Any) -> "LLM":
    """vLLM with a model.

    Raises:
        MissingDependencyError: vLLM is not installed.
        GemError: vLLM is too old.
    """
    try:
        import vllm
    except ImportError as error:
        raise MissingDependencyError(
            "The engine vllm needs vLLM, in an environment of its own: `pip install vllm gem-ecg`, on a CPU see docs/vllm.md. "
            "--engine transformers needs nothing more."
        ) from error
    check_version(vllm.__version__)
    on_cpu = default_device().type == "cpu"
    # Compiling pays where a GPU is; half precision has no fast path on most CPUs.
    defaults = {"dtype": "float32" if on_cpu else "auto", "enforce_eager": on_cpu, "disable_log_stats": True}
    return vllm.LLM(model, **(defaults | options))


__all__ = ["VllmGem", "VllmModel", "prompt_with_ecgs", "start"]
