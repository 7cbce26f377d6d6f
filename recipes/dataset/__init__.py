# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Building ECG-Grounding: sources -> measured, taught and checked Parquet shards; and files of features."""
