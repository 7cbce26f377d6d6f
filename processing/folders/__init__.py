# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The ECGs of a folder of files."""
