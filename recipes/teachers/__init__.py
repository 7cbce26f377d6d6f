# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Who writes the interpretations of a data set, and what is checked of them."""
