# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Questions that have nothing to do with an ECG."""

import string

import numpy as np

from .wordings import ABOUT_NOTHING, pick

OFF_TOPIC = "I can only answer questions about this ECG."
THINGS = (
    "France", "Japan", "Brazil", "the moon", "the sun", "Mars", "gold", "water", "pi", "a prime number", "chess", "football",
    "tennis", "music", "jazz", "Mozart", "Picasso", "love", "happiness", "life", "a cat", "a dog", "elephants", "whales", "a car",
    "a bicycle", "a train", "an aeroplane", "bread", "pizza", "coffee", "tea", "chocolate", "wine", "rice", "an apple", "a tree",
    "a rose", "winter", "Christmas", "London", "Paris", "Rome", "Africa", "the ocean", "a river", "a mountain", "a computer",
    "Python", "the internet", "a telephone", "a film", "a book", "Shakespeare", "a poem", "history", "mathematics", "physics",
    "gravity", "a black hole", "the weather", "rain", "snow", "money", "the stock market", "bitcoin", "a bank", "a lawyer",
    "the president", "the king", "an election", "a war", "the Romans", "a dinosaur", "the brain", "an eye", "the liver", "a tooth",
    "a knee", "sleep", "a dream", "a joke", "a game", "your name", "the time", "the date", "a table", "a chair", "a house", "Berlin",
)  # fmt: skip
ABOUT_A_THING = (
    "What is {}?",
    "What is the capital of {}?",
    "Who invented {}?",
    "Who discovered {}?",
    "How do I get to {}?",
    "How do I make {}?",
    "Where can I buy {}?",
    "Tell me a story about {}.",
    "Tell me a joke about {}.",
    "Write a poem about {}.",
    "Write an essay on {}.",
    "What do you think of {}?",
    "Do you like {}?",
    "How old is {}?",
    "How big is {}?",
    "How much does {} cost?",
    "What colour is {}?",
    "Explain {} to a child.",
    "What is the meaning of {}?",
    "Draw {}.",
    "Translate {} into German.",
    "How do you spell {}?",
    "Is {} good for me?",
    "When was {} born?",
    "Why is {} so popular?",
    "Can you help me with {}?",
    "{}",
    "{}?",
)
GIBBERISH_SHARE, THING_SHARE = 0.15, 0.55


def off_topic(rng: np.random.Generator) -> str:
    """A question that is not about an ECG, or letters that mean nothing."""
    drawn = rng.random()
    if drawn < GIBBERISH_SHARE:
        return " ".join(_letters(rng) for _ in range(int(rng.integers(1, 5))))
    if drawn < GIBBERISH_SHARE + THING_SHARE:
        return pick(rng, ABOUT_A_THING).replace("{}", pick(rng, THINGS))
    return pick(rng, ABOUT_NOTHING)


def _letters(rng: np.random.Generator) -> str:
    return "".join(rng.choice(list(string.ascii_lowercase), size=int(rng.integers(2, 9))))


__all__ = ["ABOUT_A_THING", "OFF_TOPIC", "THINGS", "off_topic"]
