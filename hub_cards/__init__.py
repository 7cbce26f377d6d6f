# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Templates (jinja2) of the cards on the Hub, and the Space."""
