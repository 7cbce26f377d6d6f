# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Cards, checks and uploads: models, data sets and the Space to the Hub."""
