# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What a server of many users needs, whatever its front is: a fair line, a desk for short work, a batcher for answers."""
