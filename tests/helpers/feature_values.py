# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Features in which a test replaces values."""

from dataclasses import replace

import numpy as np


def with_values(features, **changes):
    """The features with other fields; `V5__t_amplitude=-0.2` sets a value of a lead, `V5__st` its ST level at J and J+60."""
    fields, lead_values = {}, {name: np.array(values) for name, values in features.lead_values.items()}
    for name, value in changes.items():
        lead, _, measure = name.partition("__")
        if measure:
            for one in ("st_j", "st_j60") if measure == "st" else (measure,):
                lead_values[one][features.leads.index(lead)] = value
        else:
            fields[name] = value
    if "qrs_duration" in changes:  # in every lead as long as over all of them
        widths = np.full_like(features.sequences["QRS Duration"], changes["qrs_duration"])
        fields["sequences"] = {**features.sequences, "QRS Duration": widths}
    return replace(features, lead_values=lead_values, **fields)
