# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The ECG-Reasoning-Benchmark (Oh et al. 2026, arXiv 2603.14326): samples, dialogue, its heuristic scores, and the measuring engine as an answerer."""
