# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Simulated ECGs with the exact truth of every wave."""
