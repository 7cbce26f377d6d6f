# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The Space of gem-ecg: shows an ECG's page, its interpretation and the evidence."""
