# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""ECGs from anywhere -> `ecg_values`, the tensor that the signal tower reads."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from transformers import BatchFeature
from transformers.feature_extraction_utils import FeatureExtractionMixin

from .ecg_limits import MAX_PLAUSIBLE_MV
from .ecg_readers import load_ecg
from .ecg_record import STANDARD_LEADS, EcgRecord, interpolate_gaps, is_ecg_record
from .errors_gem import EcgLeadError, EcgQualityError, GemError


class GemFeatureExtractor(FeatureExtractionMixin):
    r"""
    Brings records into the shape `(leads, num_samples)` in mV that the tower was trained on: leads found by name and put
    into the standard order (limb leads derived where two are there), resampled, gaps bridged, cropped or zero-padded.
    With `return_records=True` the prepared records are returned too, with every step in their `history`.

    Args:
        leads (`list[str]`, *optional*): Lead names in the tower's order. Defaults to the standard twelve.
        sampling_rate (`float`, *optional*, defaults to 500): Hz.
        num_samples (`int`, *optional*, defaults to 5000): Samples per lead.
        missing_leads (`"raise"` or `"mask"`, *optional*, defaults to `"raise"`): What to do when a lead is absent and
            cannot be derived: refuse, or give zeros and mark them in `ecg_mask`.
        nan_policy (`"interpolate"`, `"zero"` or `"raise"`, *optional*, defaults to `"interpolate"`): Missing samples.
        compat (`"gem"`, *optional*): Reproduces the original preprocessing bit for bit, faults included: leads in file
            order, no resampling, no checks, NaN to 0, cut or zero-padded at the end.
    """

    # Not a `SequenceFeatureExtractor`: its `padding_side` makes pipelines refuse batches of left-padding tokenizers.
    model_input_names = ["ecg_values"]

    def __init__(
        self,
        leads: Iterable[str] = STANDARD_LEADS,
        sampling_rate: float = 500.0,
        num_samples: int = 5000,
        missing_leads: str = "raise",
        nan_policy: str = "interpolate",
        compat: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value, allowed in (
            ("missing_leads", missing_leads, ("raise", "mask")),
            ("nan_policy", nan_policy, ("interpolate", "zero", "raise")),
            ("compat", compat, (None, "gem")),
        ):
            if value not in allowed:
                raise ValueError(f"`{name}` must be one of {allowed}, got {value!r}.")
        self.leads = list(leads)
        self.sampling_rate = float(sampling_rate)
        self.num_samples = num_samples
        self.missing_leads = missing_leads
        self.nan_policy = nan_policy
        self.compat = compat

    def __call__(
        self,
        ecgs: Any,
        sampling_rate: float | None = None,
        leads: Sequence[str] | None = None,
        unit: str | None = None,
        return_mask: bool = False,
        return_records: bool = False,
        return_tensors: str | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        r"""
        Args:
            ecgs: One ECG or a list of them: paths, `EcgRecord`s, arrays of shape (leads, samples), rows of a dataset.
            sampling_rate (`float`, *optional*): Hz; needed for arrays.
            leads (`list[str]`, *optional*): Row names of arrays. Defaults to the standard twelve in standard order.
            unit (`str`, *optional*): Unit of arrays, `"mV"` if not given.
            return_mask (`bool`, *optional*): Add `ecg_mask` (num_ecgs, leads, num_samples): true where `ecg_values`
                holds a measured sample.
            return_records (`bool`, *optional*): Add `ecg_records`, the prepared records with their `history`.
            return_tensors (`str`, *optional*): `"pt"` or `"np"`, as in every feature extractor.
            **kwargs: Ignored; the Trainer and other callers may pass arguments of other modalities.

        Returns:
            `BatchFeature` with `ecg_values`, float32 (num_ecgs, leads, num_samples) in mV.

        Raises:
            `GemError`: The input cannot be read, or is not an ECG.
        """
        records = load_ecgs(ecgs, sampling_rate=sampling_rate, leads=leads, unit=unit)
        prepare = self._prepare_as_original if self.compat == "gem" else self.prepare
        prepared = [prepare(record) for record in records]
        values = np.zeros((len(prepared), len(self.leads), self.num_samples), dtype=np.float32)
        masks = np.zeros(values.shape, dtype=bool)
        for record, value, mask in zip(prepared, values, masks, strict=True):
            measured = np.isfinite(record.signal)
            signal = record.signal
            if not measured.all():
                bridge = self.nan_policy == "interpolate" and self.compat is None
                signal = interpolate_gaps(signal) if bridge else np.nan_to_num(signal, nan=0.0, posinf=0.0, neginf=0.0)
            value[:, : signal.shape[1]] = signal
            mask[:, : signal.shape[1]] = measured
        data: dict[str, Any] = {"ecg_values": values}
        if return_mask:
            data["ecg_mask"] = masks
        feature = BatchFeature(data, tensor_type=return_tensors)
        if return_records:
            feature["ecg_records"] = prepared
        return feature

    def prepare(self, record: EcgRecord) -> EcgRecord:
        """`record` with the wanted leads, rate and at most `num_samples`; absent samples are NaN.

        Raises:
            EcgQualityError, EcgLeadError: see `EcgRecord.check_quality` and `EcgRecord.select_leads`.
        """
        record = self._with_leads(record.check_quality()).resample(self.sampling_rate)
        if record.num_samples > self.num_samples:
            kept = self.num_samples / self.sampling_rate
            record = record.changed(
                f"kept the first {kept:g} of {record.duration:g} s", signal=record.signal[:, : self.num_samples]
            )
        elif record.num_samples < self.num_samples:
            record = record.changed(
                f"zero-padded from {record.duration:g} s to {self.num_samples / self.sampling_rate:g} s"
            )
        peaks = np.abs(record.signal) > MAX_PLAUSIBLE_MV  # NaN is not
        if peaks.any():
            limited = np.clip(record.signal, -MAX_PLAUSIBLE_MV, MAX_PLAUSIBLE_MV)
            record = record.changed(f"limited {int(peaks.sum())} samples to {MAX_PLAUSIBLE_MV:g} mV", signal=limited)
        gaps = ~np.isfinite(record.signal)
        if gaps.any():
            lead = record.leads[int(gaps.mean(axis=1).argmax())]
            if self.nan_policy == "raise":
                raise EcgQualityError(
                    f"{record.name}: lead {lead} has {int(gaps.sum())} missing samples. Repair the record, or choose "
                    "`nan_policy='interpolate'` or `'zero'`."
                )
            verb = "bridged linearly" if self.nan_policy == "interpolate" else "set to 0 mV"
            record = record.changed(f"{int(gaps.sum())} missing samples {verb} (most in lead {lead})")
        return record

    def _with_leads(self, record: EcgRecord) -> EcgRecord:
        if self.missing_leads == "raise":
            return record.select_leads(self.leads)
        record = record.with_limb_leads()
        absent = [lead for lead in self.leads if lead not in record.leads]
        if len(absent) == len(self.leads):
            raise EcgLeadError(f"{record.name}: none of the leads {self.leads} is among {list(record.leads)}.")
        if absent:
            rows = np.full((len(absent), record.num_samples), np.nan, dtype=np.float32)
            record = record.changed(
                f"masked absent leads {', '.join(absent)}",
                signal=np.concatenate([record.signal, rows]),
                leads=record.leads + tuple(absent),
            )
        return record.select_leads(self.leads)

    def _prepare_as_original(self, record: EcgRecord) -> EcgRecord:
        record = record.recorded_leads_only()
        if len(record.leads) != len(self.leads):
            raise EcgLeadError(
                f"{record.name}: the original preprocessing takes exactly {len(self.leads)} leads in file order, the "
                f"record has {len(record.leads)}. Use `compat=None` to select and derive leads by name."
            )
        return record.changed(
            "as the original code: file order, no resampling", signal=record.signal[:, : self.num_samples]
        )


def load_ecgs(ecgs: Any, **source: Any) -> list[EcgRecord]:
    """One ECG, a list of them or nested lists -> a flat list of records; `source` goes to `load_ecg`.

    A list of numbers is taken as an array; Arrow and JSON give signals like that. In a list of arrays and records what `source` says is said
    of the arrays: a record knows its own rate and unit.
    """
    if isinstance(ecgs, np.ndarray) and ecgs.dtype.hasobject:  # ECGs of different length, or paths
        ecgs = list(ecgs)
    if is_one_ecg(ecgs):
        ecgs = np.asarray(ecgs, dtype=np.float32) if isinstance(ecgs, (list, tuple)) else ecgs
        return [load_ecg(ecgs, **source)]
    if not isinstance(ecgs, Iterable):
        raise GemError(f"Expected an ECG or a list of ECGs, got {type(ecgs).__name__}.")
    ecgs = list(ecgs)
    mixed = not all(map(is_ecg_record, ecgs))
    return [record for ecg in ecgs for record in load_ecgs(ecg, **({} if mixed and is_ecg_record(ecg) else source))]


def is_one_ecg(ecg: Any) -> bool:
    if isinstance(ecg, (list, tuple)):
        return (
            len(ecg) > 0 and np.ndim(ecg[0]) == 1 and not isinstance(ecg[0], (str, bytes)) and np.isscalar(ecg[0][0])
        )
    if hasattr(ecg, "ndim"):
        return ecg.ndim != 3
    return isinstance(ecg, (str, bytes, Mapping)) or hasattr(ecg, "read") or not isinstance(ecg, Iterable)


__all__ = ["GemFeatureExtractor", "load_ecgs"]
