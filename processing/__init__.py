# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""From an ECG file to the tensors, pages and measurements that GEM uses."""
