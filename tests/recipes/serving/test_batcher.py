# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Many questions, one batch: every answer equals that of a single call and goes to the client that asked."""

import asyncio
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from transformers import MistralConfig

from processing.errors_gem import GemError
from recipes.models import load_gem
from recipes.serving.answer import EngineError, Progress
from recipes.serving.batcher import Batcher
from recipes.serving.fair_line import Places, TooBusyError
from tests.helpers.tiny_gem import chat, tiny_config, tiny_model, tiny_processor, tiny_text_config

SAMPLES = Path(__file__).resolve().parents[3] / "processing" / "samples"
LENGTH = 40


@pytest.fixture(scope="module")
def gem():
    return load_gem()


@contextmanager
def batching(gem, **options):
    batcher = Batcher(*gem, **options)
    try:
        yield batcher
    finally:
        batcher.close()


def questions(processor):
    """Different records, modalities and questions, so that swapped answers are noticed."""
    asked = [
        (sample.with_suffix(".hea"), question, modality)
        for sample in sorted(SAMPLES.glob("*.hea"))
        for question, modality in ((None, "both"), ("What is the rhythm?", "signal"), ("Is V1 normal?", "image"))
    ]
    return [processor.build_conversation(path, question=text, modality=seen) for path, text, seen in asked]


def single(gem, chat, length=LENGTH):
    network, processor = gem
    inputs = processor.apply_chat_template(
        chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt", draw_page=False
    )
    with torch.inference_mode():
        answer = network.generate(**inputs, max_new_tokens=length, do_sample=False)
    return processor.tokenizer.decode(answer[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()


async def read(answer):
    return [progress async for progress in answer.progress()]


async def together(batcher, chats, **options):
    answers = [batcher.ask(chat, str(n), str(n), **options) for n, chat in enumerate(chats)]
    return await asyncio.gather(*map(read, answers), return_exceptions=True)


def test_a_batch_equals_single_calls_without_cross_talk(gem, monkeypatch):
    monkeypatch.setattr("recipes.serving.writing.TELL_S", 0.0)
    chats = questions(gem[1])
    sizes = []
    generate = gem[0].generate
    monkeypatch.setattr(gem[0], "generate", lambda **of: sizes.append(len(of["input_ids"])) or generate(**of))
    with batching(gem, most_rows=8) as batcher:
        streams = asyncio.run(together(batcher, chats, max_new_tokens=LENGTH))
    # Some joined while others were written, and never more than eight were.
    assert max(sizes) == 8 and len(sizes) > len(chats) // 8
    monkeypatch.undo()
    expected = [single(gem, chat) for chat in chats]
    assert [stream[-1].text for stream in streams] == expected and len(set(expected)) > len(SAMPLES.stem)
    for stream in streams:
        assert [progress.done for progress in stream] == [False] * (len(stream) - 1) + [True]
        written = [progress.text for progress in stream if progress.text]
        assert len(written) > min(3, stream[-1].tokens - 1) and all(
            stream[-1].text.startswith(text) for text in written
        )


def test_a_short_question_does_not_wait_for_a_long_answer(gem):
    chats = questions(gem[1])[:2]
    order = []

    async def follow(name, answer):
        written = [progress async for progress in answer.progress()]
        order.append(name)
        return written[-1].text

    async def visit():
        long = asyncio.create_task(follow("long", batcher.ask(chats[0], "a", "1", max_new_tokens=200)))
        while not batcher.running:
            await asyncio.sleep(0.01)
        short = follow("short", batcher.ask(chats[1], "b", "1", max_new_tokens=5))
        return await asyncio.gather(long, short)

    # The long answer is written to its last token: it has no end token.
    with batching(gem) as batcher, pytest.MonkeyPatch.context() as patch:
        patch.setattr(gem[0].generation_config, "eos_token_id", None)
        texts = asyncio.run(visit())
        assert texts == [single(gem, chats[0], 200), single(gem, chats[1], 5)]
    assert order == ["short", "long"]


@pytest.mark.parametrize("window", [None, 16])
def test_other_language_models_answer_as_in_single_calls(window):
    """Also where the cache forgets tokens: no row can join others there."""
    text = tiny_text_config()
    if window is not None:
        said = {**text.to_diff_dict(), "model_type": "mistral", "sliding_window": window}
        text = MistralConfig(**said)
    config = tiny_config(text)
    gem = tiny_model(config), tiny_processor(config)
    chats = [chat(seed, image=seed % 2 == 0, text="Go on. " * (1 + seed)) for seed in range(5)]
    with batching(gem, most_rows=2) as batcher:
        streams = asyncio.run(together(batcher, chats, max_new_tokens=12))
    assert [stream[-1].text for stream in streams] == [single(gem, one, 12) for one in chats]


def test_a_model_that_fails_fails_one_question_alone(gem, monkeypatch):
    """The question that breaks the model is one of a batch that is being written."""
    chats = questions(gem[1])[:3]
    generate = gem[0].generate

    def fails(**of):
        # It is known by its length, once its first token is written.
        if of["past_key_values"].get_seq_length() and bad in of["attention_mask"].sum(1).tolist():
            raise RuntimeError("out of memory")
        return generate(**of)

    inputs = gem[1].apply_chat_template(
        chats[1], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt", draw_page=False
    )
    bad = inputs["input_ids"].shape[1] + 1
    monkeypatch.setattr(gem[0], "generate", fails)
    with batching(gem) as batcher:
        first, failed, last = asyncio.run(together(batcher, chats, max_new_tokens=8))
    monkeypatch.undo()
    assert isinstance(failed, EngineError)
    assert [stream[-1].text for stream in (first, last)] == [single(gem, chats[0], 8), single(gem, chats[2], 8)]


def test_rows_of_different_lengths_end_each_by_itself(gem):
    chat = questions(gem[1])[0]

    async def visit():
        short, long = (batcher.ask(chat, "a", "1", max_new_tokens=length) for length in (3, LENGTH))
        return await asyncio.gather(read(short), read(long))

    with batching(gem) as batcher:
        short, long = asyncio.run(visit())
    assert short[-1].text == single(gem, chat, 3) and long[-1].text == single(gem, chat)


def test_greedy_rows_stay_what_they_are_beside_sampled_ones(gem):
    chats = questions(gem[1])[:3]

    async def visit():
        heats = (0.0, 5.0, 0.0, 5.0, 0.0)
        answers = [
            batcher.ask(chats[n % 3], str(n), "1", max_new_tokens=16, temperature=heat) for n, heat in enumerate(heats)
        ]
        return await asyncio.gather(*map(read, answers))

    with batching(gem) as batcher:
        texts = [stream[-1].text for stream in asyncio.run(visit())]
    greedy = [single(gem, chat, 16) for chat in chats]
    assert [texts[0], texts[2], texts[4]] == [greedy[0], greedy[2], greedy[1]]
    assert texts[1] != greedy[1] and texts[3] != greedy[0]  # so hot that no two rows are the same


def test_a_bad_question_harms_no_other(gem):
    chats = questions(gem[1])[:3]
    bad = [{"role": "user", "content": [{"type": "ecg", "ecg": "/absent"}, {"type": "text", "text": "?"}]}]
    with batching(gem) as batcher:
        first, failed, last, third = asyncio.run(
            together(batcher, [chats[0], bad, chats[1], chats[2]], max_new_tokens=8)
        )
    assert isinstance(failed, GemError)
    assert [stream[-1].text for stream in (first, last, third)] == [single(gem, chat, 8) for chat in chats]


def test_cancelled_and_late_questions_free_their_place(gem):
    chat = questions(gem[1])[0]
    rows = []

    async def visit():
        running = batcher.ask(chat, "a", "1", max_new_tokens=700)
        async for progress in running.progress():
            if progress.text:
                break
        cut = batcher.ask(chat, "b", "1", max_new_tokens=700, deadline_s=0.5)
        late = batcher.ask(chat, "c", "1", deadline_s=-10)
        gone = batcher.ask(chat, "d", "1")
        gone.cancel()
        rows.extend(await read(cut))
        with pytest.raises(GemError, match="No answer within -10 s"):
            await read(late)
        return running, gone

    # The model would write 700 tokens: nothing ends its sentence.
    with batching(gem) as batcher, pytest.MonkeyPatch.context() as patch:
        patch.setattr(gem[0].generation_config, "eos_token_id", None)
        running, gone = asyncio.run(visit())
    assert running.cancelled and not running.latest.done and gone.latest.text == ""
    assert rows[-1].done and rows[-1].cut and len(rows[-1].text.split()) < 600


def test_the_wait_is_reported_and_a_full_queue_refuses(gem):
    chat = questions(gem[1])[0]

    async def visit():
        await read(batcher.ask(chat, "a", "1", max_new_tokens=4))  # how long an answer takes is known now
        # long enough that none is over before the last of them is asked
        running = [batcher.ask(chat, str(n), "1", max_new_tokens=60) for n in range(2)]
        while len(batcher.running) < 2:
            await asyncio.sleep(0.01)
        waiting = [batcher.ask(chat, str(n), "1", max_new_tokens=60) for n in range(5)]
        told = [answer.latest for answer in waiting]
        with pytest.raises(TooBusyError):
            batcher.ask(chat, "late", "1")
        return told, await asyncio.gather(*map(read, running + waiting))

    with batching(gem, most_rows=2, places=Places(total=5)) as batcher:
        told, streams = asyncio.run(visit())
    assert [progress.place for progress in told] == [1, 2, 3, 4, 5]
    waits = [progress.seconds for progress in told]
    assert None not in waits and waits == sorted(waits) and waits[4] > waits[0]
    last = streams[0][-1]
    assert {stream[-1] for stream in streams} == {Progress(last.text, done=True, tokens=last.tokens)}
