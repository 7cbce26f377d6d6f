# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The small model that comes with the package: its data, towers, training and scores."""
