# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Both benchmarks (Grounded ECG Understanding, ECG-Bench), judges, reviews and reports."""
