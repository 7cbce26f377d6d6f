# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What people do with GEM: interpret, convert, build data, train, evaluate, publish."""
