# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Transformers' common tests of models and configs over GEM, its ECG tower, and LLaVA in the same harness."""

import unittest
from typing import Any

import torch
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaModel,
    PreTrainedConfig,
)
from transformers.models.auto import modeling_auto

from modeling_gem import GemConfig, GemEcgConfig, GemEcgModel, GemForConditionalGeneration, GemModel
from tests.helpers.transformers_tests import add_suites_to_path

add_suites_to_path()

from transformers_tests.generation.test_utils import GenerationTesterMixin  # noqa: E402
from transformers_tests.test_configuration_common import ConfigTester  # noqa: E402
from transformers_tests.test_modeling_common import ModelTesterMixin, floats_tensor, ids_tensor  # noqa: E402

# The suites look these names up to know what a model class is for. Here GEM is added to them.
modeling_auto.MODEL_MAPPING_NAMES |= {"gem": "GemModel", "gem_ecg": "GemEcgModel"}
modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES["gem"] = "GemForConditionalGeneration"

IMAGE_TOKEN, ECG_TOKEN = 3, 4
IMAGE_TOKENS, ECG_TOKENS = 4, 6


class LlavaTester:
    """Batches of one picture and some text per row, for a tiny LLaVA."""

    batch_size = 7  # what the suite fills smaller batches up to, with random ids
    num_hidden_layers = 2
    num_attention_heads = 4
    hidden_size = 32
    vocab_size = 99
    image_size = 8
    is_training = True
    num_text_tokens = 7

    def __init__(self, parent: unittest.TestCase):
        self.parent = parent
        self.seq_length = self.encoder_seq_length = IMAGE_TOKENS + self.num_text_tokens
        self.vision_config = {
            "hidden_size": 32,
            "intermediate_size": 37,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": self.image_size,
            "patch_size": 4,
            "projection_dim": 32,
        }

    def make_text_config(self) -> LlamaConfig:
        return LlamaConfig(
            vocab_size=self.vocab_size,
            hidden_size=self.hidden_size,
            intermediate_size=37,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            num_key_value_heads=2,
            max_position_embeddings=512,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        )

    def get_config(self) -> PreTrainedConfig:
        return LlavaConfig(
            vision_config=CLIPVisionConfig(**self.vision_config),
            text_config=self.make_text_config(),
            image_token_index=IMAGE_TOKEN,
            vision_feature_layer=-1,
            image_seq_length=IMAGE_TOKENS,
        )

    def placeholders(self) -> list[int]:
        return [IMAGE_TOKEN] * IMAGE_TOKENS

    def prepare_config_and_inputs_for_common(self) -> tuple[PreTrainedConfig, dict[str, Any]]:
        text = ids_tensor([self.batch_size, self.num_text_tokens], self.vocab_size - 10) + 10
        placeholders = torch.tensor(self.placeholders()).expand(self.batch_size, -1).to(text.device)
        input_ids = torch.cat([placeholders, text], dim=1)
        inputs = {
            "input_ids": input_ids,
            "attention_mask": torch.ones_like(input_ids),
            "pixel_values": floats_tensor([self.batch_size, 3, self.image_size, self.image_size]),
        }
        return self.get_config(), inputs


class GemTester(LlavaTester):
    """The same with an ECG in each row."""

    def __init__(self, parent: unittest.TestCase):
        super().__init__(parent)
        self.seq_length = self.encoder_seq_length = ECG_TOKENS + IMAGE_TOKENS + self.num_text_tokens

    def get_config(self) -> PreTrainedConfig:
        return GemConfig(
            vision_config=CLIPVisionConfig(**self.vision_config),
            ecg_config=GemEcgConfig(
                hidden_size=32,
                intermediate_size=37,
                num_hidden_layers=2,
                num_attention_heads=2,
                seq_length=50,
                patch_size=10,
            ),
            text_config=self.make_text_config(),
            image_token_id=IMAGE_TOKEN,
            ecg_token_id=ECG_TOKEN,
            vision_feature_layer=-1,
        )

    def placeholders(self) -> list[int]:
        return [ECG_TOKEN] * ECG_TOKENS + super().placeholders()

    def prepare_config_and_inputs_for_common(self) -> tuple[PreTrainedConfig, dict[str, Any]]:
        config, inputs = super().prepare_config_and_inputs_for_common()
        return config, inputs | {"ecg_values": floats_tensor([self.batch_size, 12, 50])}


class TowerTester:
    batch_size = 3
    num_hidden_layers = 2
    num_attention_heads = 2
    hidden_size = 32
    seq_length = ECG_TOKENS
    is_training = True

    def get_config(self) -> GemEcgConfig:
        return GemEcgConfig(
            hidden_size=self.hidden_size,
            intermediate_size=37,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            seq_length=50,
            patch_size=10,
            projection_dim=16,
        )

    def prepare_config_and_inputs_for_common(self) -> tuple[GemEcgConfig, dict[str, Any]]:
        return self.get_config(), {"ecg_values": floats_tensor([self.batch_size, 12, 50])}


class LlavaModelTest(ModelTesterMixin, GenerationTesterMixin, unittest.TestCase):
    """The control: the results of a model of Transformers itself in this harness."""

    all_model_classes = (LlavaModel, LlavaForConditionalGeneration)
    _is_composite = True
    additional_model_inputs = ["pixel_values"]
    test_all_params_have_gradient = False  # the last norm of CLIP is not used

    def setUp(self):
        self.model_tester = LlavaTester(self)
        self.config_tester = ConfigTester(
            self,
            config_class=LlavaConfig,
            has_text_modality=False,
            common_properties=["image_token_id", "vision_feature_layer"],
        )

    def test_config(self):
        self.config_tester.run_common_tests()


class GemModelTest(ModelTesterMixin, GenerationTesterMixin, unittest.TestCase):
    all_model_classes = (GemModel, GemForConditionalGeneration)
    _is_composite = True
    additional_model_inputs = ["pixel_values", "ecg_values"]
    test_all_params_have_gradient = False  # the last norms of both towers are not used

    def setUp(self):
        self.model_tester = GemTester(self)
        self.config_tester = ConfigTester(
            self,
            config_class=GemConfig,
            has_text_modality=False,
            common_properties=["image_token_id", "ecg_token_id", "vision_feature_layer"],
        )

    def test_config(self):
        self.config_tester.run_common_tests()


class GemEcgModelTest(ModelTesterMixin, unittest.TestCase):
    all_model_classes = (GemEcgModel,)
    test_resize_embeddings = False

    def setUp(self):
        self.model_tester = TowerTester()
        self.config_tester = ConfigTester(
            self, config_class=GemEcgConfig, has_text_modality=False, hidden_size=32, num_attention_heads=2
        )

    def test_config(self):
        self.config_tester.run_common_tests()

    @unittest.skip("The tower reads signals: it has no table of embeddings.")
    def test_model_get_set_embeddings(self):
        pass


del ModelTesterMixin
