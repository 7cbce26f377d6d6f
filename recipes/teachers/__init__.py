# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Teachers, which write the interpretations of a data set, and the checks of their answers."""
