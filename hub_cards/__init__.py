# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""How gem-ecg looks on the Hub: card templates (jinja2)."""
