# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Language models that answer chats: an endpoint behind `client`, a model in this process after `local`."""
