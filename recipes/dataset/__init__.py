# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Builds instruction data: sources -> measured, answered and checked Parquet shards; and files of features."""
