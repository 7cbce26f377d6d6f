# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
Checks, before anything else is imported, that `processing` and `recipes` are gem-ecg's. Python finds a file or folder of that name
beside a script or in the working directory first, and the errors that follow do not reveal the cause.
"""

import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
CURE = (
    "Rename it, start Python in another folder, or keep scripts' and working folders out of imports with `python -P` "
    "(PYTHONSAFEPATH=1)."
)


def found_instead(name: str) -> str | None:
    """The file or folder that `import name` finds, if it is not the package beside this one; else `None`."""
    loaded = sys.modules.get(name)
    spec = getattr(loaded, "__spec__", None) if loaded is not None else find_spec(name)
    if spec is None:
        return getattr(loaded, "__file__", None)
    places = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or [])
    if any(Path(str(place)).resolve().is_relative_to(HOME / name) for place in places):
        return None
    return str(places[0]) if places else None


def check_own_packages() -> None:
    """Checks that gem-ecg's packages are found before others of the same names.

    Raises:
        ImportError: another `processing` precedes gem-ecg's, which GEM needs. For another `recipes` or `hub_cards` there is only a
            warning.
    """
    for name in ("processing", "recipes", "hub_cards"):
        found = found_instead(name)
        if found is None:
            continue
        message = f"{found} is imported as `{name}` instead of gem-ecg's {HOME / name}. {CURE}"
        if name == "processing":
            raise ImportError(message, name=name, path=found)
        warnings.warn(message, stacklevel=3)


check_own_packages()
