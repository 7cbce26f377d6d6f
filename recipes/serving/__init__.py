# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Parts of a server for many users, independent of its front end: a fair queue, a desk for short tasks, a batcher for answers."""
