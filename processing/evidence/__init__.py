# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Verdicts on the ECG page: highlights, pictures and self-contained HTML."""
