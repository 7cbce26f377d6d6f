# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Files of unknown origin, read in a process of their own with limits of memory and time."""
