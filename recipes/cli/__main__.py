# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`python -m recipes.cli`: the `gem` command, for use where it is not on the PATH."""

from recipes.cli import main

main()
