# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Language models that answer chats: `client` asks an endpoint, `local` runs a model in this process."""
