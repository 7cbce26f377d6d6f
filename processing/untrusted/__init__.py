# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Reads files of unknown origin in a separate process with limits of memory and time."""
