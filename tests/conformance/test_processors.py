# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Transformers' common tests of processors, feature extractors and image processors over GEM's."""

import unittest
from typing import Any
from unittest.mock import patch

from modeling_gem import GemFeatureExtractor, GemImageProcessor, GemProcessor
from tests.helpers.tiny_gem import signal, tiny_processor
from tests.helpers.transformers_tests import add_suites_to_path

add_suites_to_path()

from transformers_tests.test_feature_extraction_common import FeatureExtractionSavingTestMixin  # noqa: E402
from transformers_tests.test_image_processing_common import (  # noqa: E402
    ImageProcessingTester,
    ImageProcessingTestMixin,
)
from transformers_tests.test_processing_common import ProcessorTesterMixin  # noqa: E402


class GemProcessorTest(ProcessorTesterMixin, unittest.TestCase):
    processor_class = GemProcessor

    @classmethod
    def setUpClass(cls):
        trusting = patch.object(GemProcessor, "judge_pictures", False)  # the suite's pictures are random pixels
        trusting.start()
        cls.addClassCleanup(trusting.stop)
        super().setUpClass()

    @classmethod
    def _setup_from_components(cls):
        return tiny_processor()

    @staticmethod
    def prepare_processor_dict() -> dict[str, Any]:
        return {"num_image_tokens": 4, "num_ecg_tokens": 11, "page_size": [28, 28]}

    def test_model_input_names(self):
        """The suite's test with an ECG, which the suite does not know."""
        processor = self.get_processor()
        inputs = processor(self.prepare_images_inputs(), "<ecg><image>", [signal()], sampling_rate=500)
        self.assertEqual(set(inputs), set(processor.model_input_names))


class GemFeatureExtractorTest(FeatureExtractionSavingTestMixin, unittest.TestCase):
    feature_extraction_class = GemFeatureExtractor

    @property
    def feat_extract_dict(self) -> dict[str, Any]:
        return {"num_samples": 500, "sampling_rate": 500.0}


class PictureTester(ImageProcessingTester):
    def __init__(self, parent: unittest.TestCase):
        super().__init__(
            parent,
            do_resize=True,
            size={"shortest_edge": 20},
            do_center_crop=True,
            crop_size={"height": 18, "width": 18},
            do_normalize=True,
            do_convert_rgb=True,
            image_mean=[0.48, 0.46, 0.41],
            image_std=[0.27, 0.26, 0.28],
        )

    def _get_image_processing_classes(self) -> dict[str, type]:
        return {"pil": GemImageProcessor}

    def expected_output_image_shape(self, images: list) -> tuple[int, int, int]:
        return self.num_channels, 18, 18


class GemImageProcessingTest(ImageProcessingTestMixin, unittest.TestCase):
    image_processor_tester_class = PictureTester


del ProcessorTesterMixin, FeatureExtractionSavingTestMixin, ImageProcessingTestMixin, ImageProcessingTester
