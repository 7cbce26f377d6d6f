# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Files of unknown origin are read in separate processes and give what `load_ecg` gives; failed processes leave nothing behind."""

import io
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from processing.ecg_photo import check_ecg_page, load_page_picture
from processing.ecg_plausibility import EcgPlausibilityWarning
from processing.ecg_readers import load_ecg
from processing.ecg_record import EcgRecord
from processing.errors_gem import EcgFormatError, EcgLeadError, EcgQualityError, ReadBudgetError
from processing.untrusted import processes
from processing.untrusted.budget import ReadBudget
from processing.untrusted.reading import load_untrusted, load_untrusted_picture, warm_up
from tests.helpers.ecg_files import dicom_bytes, edf_bytes, microvolts, muse_xml, scp_bytes, write_wfdb
from tests.helpers.shared_data import shared_path

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "processing" / "samples"
forks = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")


def state(record: EcgRecord) -> dict:
    return record.__reduce__()[1][0]


def assert_same(found: EcgRecord, plain: EcgRecord) -> None:
    ours, theirs = state(found), state(plain)
    np.testing.assert_array_equal(ours.pop("signal"), theirs.pop("signal"))
    assert ours == theirs


def big_table(folder: Path, rows: int = 400_000) -> Path:
    """A table that takes about a second to read."""
    path = folder / "big.csv"
    path.write_text("I,II\n" + "0.1,0.2\n" * rows)
    return path


def children(pid: int) -> set[int]:
    return {
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    }


def readers() -> set[int]:
    """The reading processes started by this process."""
    return {child for server in children(os.getpid()) if is_server(server) for child in children(server)}


def is_server(pid: int) -> bool:
    return b"processing.untrusted" in Path(f"/proc/{pid}/cmdline").read_bytes()


# --- the same as a plain reading


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.hea"))[:3], ids=lambda path: path.stem)
def test_a_record_is_the_one_that_load_ecg_gives(path):
    assert_same(load_untrusted(path), load_ecg(path))


EIGHT = microvolts(("I", "II", "V1", "V2", "V3", "V4", "V5", "V6"))
FILES = {
    "dicom": dicom_bytes(microvolts()),
    "edf": edf_bytes(microvolts()),
    "scp": scp_bytes(EIGHT),
    "muse": muse_xml(EIGHT).encode(),
}


@pytest.mark.parametrize("keep_phi", [False, True])
@pytest.mark.parametrize("kind", FILES)
def test_bytes_and_options_give_the_whole_record(kind, keep_phi):
    options = {"keep_phi": keep_phi, "record_id": "mine", "start": 1.0, "seconds": 1.0, "missing_leads": "mask"}
    assert_same(load_untrusted(FILES[kind], **options), load_ecg(FILES[kind], **options))


def test_real_files_of_every_kind_are_unchanged():
    paths = [
        path
        for path in sorted(shared_path("data/loaders").rglob("*"))
        if path.suffix in (".hea", ".h5", ".dcm", ".edf", ".xml")
    ]
    read = 0
    for path in paths:
        try:
            plain = load_ecg(path, keep_phi=True)
        except EcgFormatError as error:
            with pytest.raises(type(error)) as caught:
                load_untrusted(path, keep_phi=True)
            assert str(caught.value) == str(error)
            continue
        assert_same(load_untrusted(path, keep_phi=True), plain)
        read += 1
    assert read >= 10


def test_a_picture_is_the_one_that_load_page_picture_gives(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (300, 400, 4), np.uint8)
    Image.fromarray(pixels, "RGBA").save(tmp_path / "a.png")
    found, plain = load_untrusted_picture(tmp_path / "a.png"), load_page_picture(tmp_path / "a.png")
    assert found.mode == plain.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(found), np.asarray(plain))
    small = load_untrusted_picture((tmp_path / "a.png").read_bytes(), max_side=200)
    assert small.size == (200, 150)
    with pytest.raises(EcgQualityError, match=r"a\.png: .*no ECG page"):
        load_untrusted_picture(tmp_path / "a.png", must_show_ecg=True)


def test_a_recognised_page_stays_recognised(tmp_path):
    from processing.ecg_page import render_ecg

    render_ecg(load_ecg(SAMPLES / "normal.hea")).save(tmp_path / "page.png")
    page = load_untrusted_picture(tmp_path / "page.png", must_show_ecg=True)
    assert page.info == check_ecg_page(page).info != {}


def test_warnings_come_back(tmp_path):
    write_wfdb(tmp_path, "small", microvolts(), adc_gain=[50_000.0] * 12)
    for load in (load_ecg, load_untrusted):
        with pytest.warns(EcgPlausibilityWarning, match="small"):
            load(tmp_path / "small.hea")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_untrusted(SAMPLES / "normal.hea")


def test_errors_come_back_by_their_class():
    with pytest.raises(EcgLeadError, match="mine: the source lacks"):
        load_untrusted(
            muse_xml(microvolts(("I", "II", "V1")), ("I", "II", "V1")).encode(),
            record_id="mine",
            missing_leads="refuse",
        )
    with pytest.raises(EcgFormatError, match=r"nowhere\.csv: there is no such file"):
        load_untrusted("nowhere.csv")
    with pytest.raises(TypeError, match="sampling_frequency"):
        load_untrusted("nowhere.csv", sampling_frequency=500)


def test_relative_paths_start_from_the_current_folder(tmp_path, monkeypatch):
    warm_up()
    write_wfdb(tmp_path, "here", microvolts())
    monkeypatch.chdir(tmp_path)
    assert_same(load_untrusted("here.hea"), load_ecg("here.hea"))


def test_rate_and_values_are_bounded():
    fast = (microvolts(rate=4000, seconds=2) / 1000).astype(np.float32)
    stream = io.BytesIO()
    np.savez(stream, signal=fast, fs=4000.0, unit="mV")
    record = load_untrusted(stream.getvalue(), max_rate=1000, max_values=12 * 2000)
    assert record.sampling_rate == 1000
    assert record.signal.shape == (12, 2000)
    assert record.history[-1] == "resampled from 4000 to 1000 Hz"
    assert_same(record, load_ecg(stream.getvalue()).resample(1000))
    with pytest.raises(EcgFormatError, match="12 leads of 2 s are 24,000 values, 23,999 at most"):
        load_untrusted(stream.getvalue(), max_rate=1000, max_values=23_999)


# --- limits


def test_too_much_memory_is_an_error_that_names_the_file_the_limit_and_the_cure(tmp_path):
    with pytest.raises(ReadBudgetError) as caught:
        load_untrusted(big_table(tmp_path), sampling_rate=500, budget=ReadBudget(megabytes=8, wall_seconds=120))
    assert "big.csv" in str(caught.value)
    assert "8 MB of memory" in str(caught.value)
    assert "`megabytes=16`" in str(caught.value)
    assert "`load_ecg`" in str(caught.value)


@forks
@pytest.mark.parametrize(("limit", "words"), [("cpu_seconds", "s of CPU time"), ("wall_seconds", "than 0.05 s,")])
def test_too_much_time_is_an_error_and_the_next_reading_goes_on(tmp_path, limit, words):
    with pytest.raises(ReadBudgetError, match=rf"big\.csv.*{words}.*`{limit}=0.1`"):
        load_untrusted(big_table(tmp_path), sampling_rate=500, budget=ReadBudget(**{limit: 0.05}))
    assert load_untrusted(SAMPLES / "normal.hea").leads


@pytest.mark.parametrize(
    "limits", [{"megabytes": 0}, {"cpu_seconds": -1}, {"wall_seconds": float("nan")}, {"megabytes": 2**40}]
)
def test_an_invalid_limit_is_refused(limits):
    with pytest.raises(EcgFormatError, match=next(iter(limits))):
        ReadBudget(**limits)


@forks
def test_a_reading_that_is_killed_is_an_error_and_its_process_is_replaced(tmp_path):
    warm_up()
    path = big_table(tmp_path, 2_000_000)
    failed: list[Exception] = []

    def read() -> None:
        try:
            load_untrusted(path, sampling_rate=500)
        except ReadBudgetError as error:
            failed.append(error)

    before = {pid: cpu_ticks(pid) for pid in readers()}
    thread = threading.Thread(target=read)
    thread.start()
    busy: set[int] = set()
    while thread.is_alive() and not busy:
        busy = {pid for pid in readers() if cpu_ticks(pid) > before.get(pid, 0) + 5}
        time.sleep(0.01)
    for pid in busy:
        os.kill(pid, signal.SIGSEGV)
    thread.join()
    assert "ended by SIGSEGV" in str(failed[0])
    assert load_untrusted(SAMPLES / "normal.hea").leads


def cpu_ticks(pid: int) -> int:
    try:
        return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    except FileNotFoundError:
        return 0


@forks
def test_processes_that_wait_may_be_killed_and_so_may_the_server():
    warm_up()
    for pid in readers():
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    assert load_untrusted(SAMPLES / "normal.hea").leads
    for server in filter(is_server, children(os.getpid())):
        os.kill(server, signal.SIGKILL)
    for _ in range(3):
        assert load_untrusted(SAMPLES / "normal.hea").leads


@forks
def test_a_server_that_is_being_killed_is_not_asked():
    warm_up()
    for _ in range(3):
        for server in filter(is_server, children(os.getpid())):
            os.kill(server, signal.SIGKILL)
        connection = processes._server.take(new=True)  # while the killed one still has its end of the socket
        assert readers()
        processes._server.give_back(connection)


@forks
def test_a_reading_that_hangs_holds_up_nobody_else(tmp_path):
    warm_up()
    path = big_table(tmp_path, 1_500_000)
    late: list[Exception] = []

    def hang() -> None:
        try:
            load_untrusted(path, sampling_rate=500, budget=ReadBudget(cpu_seconds=0.5, wall_seconds=60.0))
        except ReadBudgetError as error:
            late.append(error)

    threads = [threading.Thread(target=hang) for _ in range(3)]
    for thread in threads:
        thread.start()
    others = 0
    while any(thread.is_alive() for thread in threads):
        load_untrusted(SAMPLES / "normal.hea")
        others += 1
    assert len(late) == 3
    assert others >= 3


def test_threads_read_at_the_same_time():
    paths = sorted(SAMPLES.glob("*.hea"))[:4]
    plain = {path: load_ecg(path) for path in paths}
    wrong: list[object] = []

    def read(path: Path) -> None:
        for _ in range(5):
            try:
                assert_same(load_untrusted(path), plain[path])
            except BaseException as error:
                wrong.append(error)

    threads = [threading.Thread(target=read, args=(paths[number % len(paths)],)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- other processes


def _leads(path: str) -> tuple[str, ...]:
    return load_untrusted(path).leads


@forks
def test_a_forked_process_and_a_daemon_read_too():
    warm_up()
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:  # its processes are daemons, as the workers of a DataLoader are
        found = pool.map(_leads, [str(SAMPLES / "normal.hea")] * 4)
    assert found == [load_ecg(SAMPLES / "normal.hea").leads] * 4


PROGRAM = """
import os, sys
from processing.untrusted.reading import load_untrusted
for _ in range(2):
    load_untrusted("processing/samples/normal.hea")
print(*[child for child in open(f"/proc/self/task/{os.getpid()}/children").read().split()], flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), 9)
if sys.argv[1] == "at once":
    os._exit(0)
if sys.argv[1] == "without its server":
    os.kill(int(open(f"/proc/self/task/{os.getpid()}/children").read().split()[0]), 9)
"""


@forks
@pytest.mark.parametrize("end", ["usual", "at once", "killed", "without its server"])
def test_no_process_is_left_however_the_program_ends(end, tmp_path):
    (tmp_path / "temporary").mkdir()
    result = subprocess.run(  # a program without `if __name__ == "__main__":`
        [sys.executable, "-c", PROGRAM, end],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
    )  # fmt: skip
    server, left = Path(f"/proc/{result.stdout.split()[0]}"), tmp_path / "temporary"
    until = time.monotonic() + 20
    while (server.exists() or any(left.iterdir())) and time.monotonic() < until:
        time.sleep(0.05)
    assert not server.exists()
    assert list(left.iterdir()) == []


def test_where_nothing_can_be_forked_a_fresh_process_reads(monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "_FORKS", False)
    warm_up()
    assert_same(load_untrusted(SAMPLES / "normal.hea"), load_ecg(SAMPLES / "normal.hea"))
    with pytest.raises(ReadBudgetError, match="8 MB of memory"):
        load_untrusted(big_table(tmp_path), sampling_rate=500, budget=ReadBudget(megabytes=8, wall_seconds=120))
