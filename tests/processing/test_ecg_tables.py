# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Text tables and tables in memory: names, units, decimal marks, time columns, columns that are not leads."""

import contextlib
import json
import time

import numpy as np
import pandas as pd
import pytest

from processing.ecg_readers import load_ecg
from processing.ecg_record import STANDARD_LEADS
from processing.errors_gem import EcgFormatError, EcgLeadError, GemError
from tests.helpers.ecg_files import microvolts

COUNTS = microvolts(seconds=4)
MV = COUNTS / 1000
SECONDS = np.arange(MV.shape[1]) / 500


def text(rows, head="", separator=",", decimal=".", quote="", form="{:.3f}"):
    """A table with one line per sample."""
    lines = [
        separator.join(quote + form.format(value).replace(".", decimal) + quote for value in line)
        for line in zip(*rows, strict=True)
    ]
    return head + ("\n" if head else "") + "\n".join(lines) + "\n"


def read(content, **options):
    return load_ecg(content.encode() if isinstance(content, str) else content, record_id="t.csv", **options)


def holds(record, lead, row, atol=1e-6):
    np.testing.assert_allclose(record.lead(lead), MV[row], atol=atol)
    assert record.sampling_rate == 500


# Separators and decimal marks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", "|", ", ", "  "])
def test_every_separator(separator):
    holds(read(text([SECONDS, *MV[:2]], separator.join(("time", "I", "II")), separator)), "II", 1)


@pytest.mark.parametrize(("separator", "quote"), [(";", ""), ("\t", ""), (" ", ""), (",", '"'), (";", '"')])
@pytest.mark.parametrize("first", [None, "0"])
def test_decimal_commas_are_told_by_the_whole_file(separator, quote, first):
    content = text([SECONDS, *MV[:2]], separator.join(("time", "I", "II")), separator, ",", quote)
    if first:  # a first row without any fraction
        lines = content.splitlines()
        content = "\n".join([lines[0], separator.join(["0"] * 3), *lines[2:]])
    record = read(content)
    assert record.sampling_rate == 500
    np.testing.assert_allclose(record.lead("II")[1:], MV[1, 1:], atol=1e-6)


def test_thousands_are_no_fractions():
    content = "I [uV];II [uV]\n" + "\n".join(f"{a:,};{b:,}" for a, b in zip(COUNTS[6] * 5, COUNTS[8] * 5, strict=True))
    assert "," in content
    np.testing.assert_allclose(read(content, sampling_rate=500).lead("II"), COUNTS[8] * 5e-3, atol=1e-6)
    head, *rows = content.replace(",", ".").splitlines()
    german = "\n".join([head, *(row.replace(";", ",0;") + ",0" for row in rows)])
    np.testing.assert_allclose(read(german, sampling_rate=500).lead("II"), COUNTS[8] * 5e-3, atol=1e-6)


def test_a_single_column_of_decimal_commas_is_not_two_columns():
    record = read("Einheit;mV\nAbleitung;Ableitung II\n" + text([MV[1]], decimal=","), sampling_rate=500)
    holds(record, "II", 1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_micro_signs_in_every_encoding_of_a_file(encoding):
    record = read(text([SECONDS, COUNTS[1]], "time;II (µV)", ";").encode(encoding))
    holds(record, "II", 1)
    assert record.evidence["II"].unit == "stated" and record.evidence["II"].rate == "derived"


# What is above the numbers ------------------------------------------------------------------------------------------

APPLE = {
    "English": "Name,X\nDate of Birth,\nRecorded Date,2023-01-01 10:00:00 +0100\nClassification,Sinus Rhythm\nSymptoms,\n"
    'Software Version,1.90\nDevice,"Watch6,2"\nSample Rate,512 hertz\n\n\nLead,Lead I\nUnit,µV\n\n',
    "German": "Name,X\nGeburtsdatum,\nKlassifizierung,Sinusrhythmus\nMessrate,512 Hertz\n\nAbleitung,Ableitung I\nEinheit,µV\n\n",
    "French": "Nom,X\nFréquence d’échantillonnage,512 hertz\n\nDérivation,Dérivation I\nUnité,µV\n\n",
    "Spanish": "Nombre,X\nFrecuencia de muestreo,512 hercios\n\nDerivación,Derivación I\nUnidad,µV\n\n",
    "Japanese": "名前,X\nサンプルレート,512ヘルツ\n\n誘導,第I誘導\n単位,µV\n\n",
    "Russian": "Имя,X\nЧастота дискретизации,512 Гц\n\nОтведение,Отведение I\nЕдиница,мкВ\n\n",
}


@pytest.mark.parametrize("language", APPLE)
@pytest.mark.parametrize("decimal", [".", ","])
def test_the_export_of_a_watch_in_every_language(language, decimal):
    content = APPLE[language] + text([COUNTS[0]], decimal=decimal, quote='"' if decimal == "," else "")
    options = {"unit": "uV"} if language == "Russian" else {}  # we know no Cyrillic units
    record = read(content, **options)
    assert record.leads == ("I",) and record.sampling_rate == 512 and record.num_samples == 2000
    np.testing.assert_allclose(record.lead("I"), MV[0], atol=1e-6)
    assert record.evidence["I"].rate == record.evidence["I"].name == "stated"
    assert "1990" not in str(dict(record.metadata)) and any("identify" in note for note in record.history)


@pytest.mark.parametrize("quote", ["'", '"', ""])
def test_the_tables_of_physionets_tools(quote):
    def quoted(*cells):
        return ",".join(f"{quote}{cell}{quote}" for cell in cells)

    clocks = [f"{int(s // 60)}:{s % 60:06.3f}" for s in SECONDS]
    rows = [
        ",".join((f"{quote}{t}{quote}", f"{a:.3f}", f"{b:.3f}")) for t, a, b in zip(clocks, MV[1], MV[6], strict=True)
    ]
    head = [quoted("Elapsed time", "II", "V1"), quoted("hh:mm:ss.mmm", "mV", "mV")]
    record = read("\n".join(head + rows))
    assert record.leads == ("II", "V1") and record.assumed == {}
    holds(record, "V1", 6)
    missing = [row.rsplit(",", 1)[0] + ",-" if index < 10 else row for index, row in enumerate(rows)]
    assert np.isnan(read("\n".join(head + missing)).lead("V1")).sum() == 10


def test_the_tables_of_rdsamp_in_columns_of_blanks():
    head = "       time      MLII        V5\n      (sec)      (mV)      (mV)"
    record = read(text([SECONDS, MV[1], MV[10]], head, "   "))
    assert record.leads == ("MLII", "V5") and record.assumed == {} and record.sampling_rate == 500
    with pytest.raises(EcgFormatError, match="integers without a unit"):
        read(text([np.arange(2000), *COUNTS[:2]], "   sample #    MLII     V5", "   ", form="{}"), sampling_rate=500)


def test_the_export_of_labchart():
    head = "Interval=\t0.002 s\nExcelDateTime=\t4.4e4\t1/1/2020\nChannelTitle=\tECG\tRESP\nRange=\t2.0 mV\t10 V"
    record = read(text([SECONDS, *MV[:2]], head, "\t"))
    assert record.leads == ("ECG",) and record.sampling_rate == 500


def test_the_axes_of_an_accelerometer_are_not_franks_leads():
    assert read(text([SECONDS, *MV[:4]], "time,ecg,x,y,z")).leads == ("ecg",)
    assert read(text([SECONDS, *MV[:3]], "time,X,Y,Z")).leads == ("X", "Y", "Z")
    assert read(text([SECONDS, *MV[:4]], "time,II,X (mV),Y (mV),Z (mV)"), unit="mV").leads == ("II", "X", "Y", "Z")


def test_clocks_with_dates_and_decimal_commas():
    clocks = ["01.02.2023 " + f"10:00:{s:06.3f}".replace(".", ",") for s in SECONDS]
    rows = [f"{clock};{value:.3f}" for clock, value in zip(clocks, MV[1], strict=True)]
    holds(read("Zeit;II [mV]\n" + "\n".join(rows)), "II", 1)
    days = [f"0 days 00:00:{s:09.6f},{value:.3f}" for s, value in zip(SECONDS, MV[1], strict=True)]
    holds(read("time,II [mV]\n" + "\n".join(days)), "II", 1)


def test_a_sample_counter_and_raw_counts():
    content = text([np.arange(2000), COUNTS[1] + 1024, COUNTS[10] + 1024], "'sample #','MLII','V5'", form="{}")
    with pytest.raises(EcgFormatError, match="integers without a unit"):
        read(content, sampling_rate=360)
    record = read(content, sampling_rate=360, gain=200)
    assert record.leads == ("MLII", "V5") and any("sample #" in note for note in record.history)


def test_polar_and_its_three_times():
    starts = 599616000000000000 + np.arange(2000) * 2_000_000
    rows = [
        f"2023-05-01T10:00:{i // 73 * 0.146:06.3f};{s};{i * 2};{v}"
        for i, (s, v) in enumerate(zip(starts, COUNTS[0], strict=True))
    ]
    record = read("Phone timestamp;sensor timestamp [ns];timestamp [ms];ecg [uV]\n" + "\n".join(rows))
    assert record.leads == ("ecg",) and record.sampling_rate == 500
    np.testing.assert_allclose(record.lead("ecg"), MV[0], atol=1e-6)


def test_opensignals_names_its_columns_in_json():
    device = {
        "sensor": ["ECG", "EDA"], "column": ["nSeq", "DI", "A1", "A2"], "label": ["A1", "A2"], "sampling rate": 1000,
        "resolution": [4, 1, 10, 10],
    }  # fmt: skip
    head = "# OpenSignals Text File Format. Version 1\n# " + json.dumps({"00:07:80:00": device}) + "\n# EndOfHeader"
    content = text([np.arange(2000) % 16, np.ones(2000), COUNTS[1] + 512, COUNTS[2]], head, "\t", form="{:.0f}")
    with pytest.raises(EcgFormatError, match="integers without a unit"):
        read(content)
    record = read(content, gain=341.3)
    assert record.leads == ("ECG",) and record.sampling_rate == 1000 and any("EDA" in note for note in record.history)


def test_numbered_signals_are_named_by_the_caller():
    lines = [
        f"{i / 128:.6f},{value:.6f}," + ("0.1,0.2,9.8" if i % 2 == 0 else ",,") for i, value in enumerate(COUNTS[1])
    ]
    content = "Time,1,2,3,4\n" + "\n".join(lines)
    with pytest.raises(EcgLeadError, match=r"numbers and not leads.*leads="):
        read(content)
    record = read(content, leads=["II", "-", "-", "-"], unit="uV")
    assert record.leads == ("II",) and record.sampling_rate == 128
    np.testing.assert_allclose(record.lead("II"), MV[1], atol=1e-6)


def test_single_beats_of_kaggle_are_refused_by_name():
    beats = np.hstack([np.random.default_rng(0).random((50, 187)), np.full((50, 1), 4.0)])
    with pytest.raises(EcgFormatError, match="Kaggle"):
        read(text(beats.T, form="{:.18e}"), sampling_rate=125)


@pytest.mark.parametrize("name", ["Zeit [s]", "temps", "时间", "tiempo (s)", "whatever", "Timestamp"])
def test_a_time_column_of_any_name_gives_the_rate(name):
    record = read(text([SECONDS, MV[1]], f"{name},II"))
    assert record.evidence["II"].rate == "derived"
    holds(record, "II", 1)


@pytest.mark.parametrize(("head", "step"), [("t (ms)", 2), ("us", 2000), ("epoch", 0.002), ("time [ns]", 2_000_000)])
def test_times_in_other_units(head, step):
    times = np.arange(2000) * step + (1.6e9 if head == "epoch" else 0)
    holds(read(text([times, MV[1]], f"{head},II", form="{:.4f}")), "II", 1)


@pytest.mark.parametrize("head", ["time", "index", "n", "#"])
def test_whole_steps_without_a_unit_are_no_rate(head):
    with pytest.raises(EcgFormatError, match="sampling rate"):
        read(text([np.arange(2000) * 2, MV[1]], f"{head},II"))


def test_a_column_that_states_another_rate_than_the_head_is_told():
    record = read("# Sampling rate: 250 Hz\n" + text([SECONDS, MV[1]], "time,II"))
    assert record.sampling_rate == 250 and any("500 Hz" in note for note in record.history)


@pytest.mark.parametrize(
    "line",
    ["Filter: 0.05-150 Hz", "Notch,50 Hz", "Heart rate: 70", "Samples: 5000", "HF 150Hz", "Period: 10 s", "AC 60 Hz"],
)
def test_hertz_of_filters_are_no_sampling_rate(line):
    with pytest.raises(EcgFormatError, match="sampling rate"):
        read(f"{line}\n" + text(MV[:2], "I,II"))


@pytest.mark.parametrize(
    "line",
    [
        "Sampling rate: 500 Hz",
        "fs=500",
        "# Sampling Rate (Hz):= 500",
        "Sampling interval: 2 ms",
        "0.5 kHz sampling rate",
    ],
)
def test_the_rate_in_a_line_above_the_numbers(line):
    holds(read(f"{line}\n" + text(MV[:2], "I,II")), "II", 1)


def test_one_row_per_lead_with_its_name_and_unit():
    rows = [f"{lead},uV," + ",".join(map(str, row)) for lead, row in zip(STANDARD_LEADS, COUNTS, strict=True)]
    record = read("\n".join(rows), sampling_rate=500)
    np.testing.assert_allclose(record.signal, MV, atol=1e-6)
    named = [
        f"{lead};" + ";".join(f"{v:.3f}".replace(".", ",") for v in row)
        for lead, row in zip(["I", "II", "V1"], MV[:3], strict=True)
    ]
    holds(read("\n".join(named), sampling_rate=500), "V1", 2)
    clock = read("\n".join(["time;" + ";".join(f"{s:.3f}".replace(".", ",") for s in SECONDS), *named]))
    assert clock.sampling_rate == 500 and clock.recorded_leads_only().leads == ("I", "II", "V1")


def test_labels_footers_and_numbered_heads():
    rows = [f"{a:.3f},{b:.3f},{'N' if i % 5 else 'V'}" for i, (a, b) in enumerate(zip(*MV[:2], strict=True))]
    record = read("\n".join(["I,II,beat", *rows, "End of file"]), sampling_rate=500)
    assert record.recorded_leads_only().leads == ("I", "II")
    assert sum("left out" in note for note in record.history) == 2
    frame = pd.DataFrame(MV.T)
    np.testing.assert_allclose(read(frame.to_csv(index=False), sampling_rate=500).signal, MV, atol=1e-6)
    np.testing.assert_allclose(read(frame.to_csv(), sampling_rate=500).signal, MV, atol=1e-6)


# Broken tables ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [2, 3, 1000, 2001])
def test_a_cell_that_is_no_number_is_named_by_its_line(line):
    lines = text(MV[:3], "I,II,III").splitlines()
    lines[line - 1] = lines[line - 1].rsplit(",", 1)[0] + ",0.1x"
    with pytest.raises(EcgFormatError, match=rf"line {line}, column 3: '0.1x'"):
        read("\n".join(lines), sampling_rate=500)


@pytest.mark.parametrize("change", [",0.5", None])
def test_a_line_of_more_or_fewer_cells_is_named_and_a_cut_end_is_missing(change):
    lines = text(MV[:3], "I,II,III").splitlines()
    lines[999] = lines[999] + change if change else lines[999].rsplit(",", 1)[0]
    with pytest.raises(EcgFormatError, match=f"line 1000 has {4 if change else 2} cells, most have 3"):
        read("\n".join(lines), sampling_rate=500)
    cut = text(MV[:3], "I,II,III").rstrip().rsplit(",", 1)[0]
    assert np.isnan(read(cut, sampling_rate=500).lead("III")).sum() == 1


@pytest.mark.parametrize(
    "head", ["a" + " " * 200_000, "(" * 200_000, "_" * 200_000 + "mV", "1," * 100_000, "0:" * 100_000]
)
def test_hostile_heads_take_linear_time(head):
    start = time.process_time()
    with contextlib.suppress(GemError):
        read(head + "\n" + head + "\n0.1\n", sampling_rate=500)
    assert time.process_time() - start < 5


# Files that are not ECG ---------------------------------------------------------------------------------------------------

OTHER_FILES = {
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n": "Git LFS",
    b"/annex/objects/MD5E-s1--0.dat\n": "git-annex",
    b"<!DOCTYPE html><html><body>404</body></html>": "web page",
    b"\xef\xbb\xbf\r\n<html lang='en'>": "web page",
    b"<?xml version='1.0'?><!DOCTYPE html>": "web page",
    b"%PDF-1.4 ": "PDF",
    b"PK\x03\x04 xl/workbook.xml": "Excel",
    b"PK\x03\x04 a.hea": "ZIP",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "Office",
    b"ALIVE\0\0\0\4\0\0\0": "Kardia",
    b"0000011\0\0\0" + b"2020-11-12 18:09:05\0" + bytes(2000): "Contec",
    b"<?xml version='1.0'?><CardiologyXML><x/></CardiologyXML>": "CardioSoft",
    b"\0" * 5000: "zeros",
    b" \r\n": "blanks",
    b"": "empty",
}


@pytest.mark.parametrize(("content", "what"), OTHER_FILES.items(), ids=list(OTHER_FILES.values()))
def test_what_is_no_ecg_is_named_as_what_it_is(content, what, tmp_path):
    for suffix in (".csv", ".xml", ".ecg"):
        (tmp_path / f"t{suffix}").write_bytes(content)
        with pytest.raises(EcgFormatError, match=what):
            load_ecg(tmp_path / f"t{suffix}", sampling_rate=500)


# Tables in memory -----------------------------------------------------------------------------------------------------------

MIMIC = ["I", "II", "III", "aVR", "aVF", "aVL", *STANDARD_LEADS[6:]]


def test_a_frame_keeps_the_names_of_its_columns():
    frame = pd.DataFrame({lead: MV[STANDARD_LEADS.index(lead)] for lead in MIMIC})
    record = load_ecg(frame, sampling_rate=500)
    assert record.leads == tuple(MIMIC) and record.evidence["aVL"].name == "stated"
    np.testing.assert_allclose(record.select_leads(STANDARD_LEADS).signal, MV, atol=1e-6)


def test_frames_with_units_times_and_other_columns():
    frame = pd.DataFrame({"time [s]": SECONDS, "II [uV]": COUNTS[1], "PLETH": MV[0], "rhythm": "SR"})
    holds(load_ecg(frame), "II", 1)
    timed = pd.DataFrame({"II": MV[1]}, index=pd.to_timedelta(SECONDS, unit="s"))
    holds(load_ecg(timed), "II", 1)
    holds(load_ecg(pd.Series(MV[1], name="II"), sampling_rate=500), "II", 1)
    wide = pd.DataFrame(MV, index=list(STANDARD_LEADS))
    holds(load_ecg(wide, sampling_rate=500), "aVF", 5)
    with pytest.raises(EcgLeadError, match="numbers"):
        load_ecg(pd.DataFrame(MV[:3].T), sampling_rate=500)


def test_frames_of_polars():
    polars = pytest.importorskip("polars")
    holds(load_ecg(polars.DataFrame({"t (s)": SECONDS, "V1": MV[6]})), "V1", 6)


def test_dicts_and_structured_arrays():
    leads = {"aVF": MV[5].tolist(), "I": MV[0]}
    holds(load_ecg(leads, sampling_rate=500), "aVF", 5)
    holds(load_ecg({**leads, "sampling_rate": 500, "unit": "mV", "id": "x"}), "aVF", 5)
    holds(load_ecg({"signal": leads, "fs": 500}), "aVF", 5)
    structured = np.rec.fromarrays([SECONDS, MV[5]], names="time,aVF")
    holds(load_ecg(structured), "aVF", 5)
    with pytest.raises(EcgFormatError, match="same number of samples"):
        load_ecg({"I": MV[0], "II": MV[1, :-1]}, sampling_rate=500)
