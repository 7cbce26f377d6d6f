# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Fine-tuning with TRL: data, collator, trainer, rewards, adapters."""
