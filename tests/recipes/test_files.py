# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
import errno
import subprocess
import sys

import pytest

from processing.errors_gem import EvaluationError
from recipes.files import (
    atomic_folder,
    atomic_path,
    atomic_write,
    json_lines,
    one_writer,
    read_json_lines,
    write_json,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_with_its_whole_content_in_folders_that_are_made(tmp_path):
    atomic_write(tmp_path / "new" / "a.txt", "µV")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "µV".encode() and names(tmp_path / "new") == ["a.txt"]
    write_json(tmp_path / "b.json", {"b": [1, None]}, indent=1)
    assert (tmp_path / "b.json").read_text() == '{\n "b": [\n  1,\n  null\n ]\n}\n'


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt])
def test_after_an_error_the_old_file_is_unchanged_and_nothing_is_left(tmp_path, problem):
    atomic_write(tmp_path / "a", "old")
    with pytest.raises(problem), atomic_path(tmp_path / "a") as part:
        part.write_text("half")
        raise problem
    assert names(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


def test_a_full_disk_is_an_os_error_and_leaves_the_old_file(tmp_path):
    atomic_write(tmp_path / "a", "old")
    (tmp_path / ".a.part").symlink_to("/dev/full")
    with pytest.raises(OSError) as raised:
        atomic_write(tmp_path / "a", "new")
    assert raised.value.errno == errno.ENOSPC
    assert names(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


def test_a_folder_takes_the_place_of_the_old_one_whole_or_not_at_all(tmp_path):
    with atomic_folder(tmp_path / "model") as part:
        (part / "old").touch()
    # What a killed run left behind is not taken over.
    (tmp_path / ".model.part").mkdir()
    (tmp_path / ".model.part" / "stale").touch()
    with pytest.raises(ValueError), atomic_folder(tmp_path / "model") as part:
        (part / "half").touch()
        raise ValueError
    assert names(tmp_path) == ["model"] and names(tmp_path / "model") == ["old"]
    with atomic_folder(tmp_path / "model") as part:
        (part / "new").touch()
    assert names(tmp_path) == ["model"] and names(tmp_path / "model") == ["new"]


def test_json_lines_come_back_and_damaged_ones_are_told_by_number(tmp_path):
    rows = [{"id": "å\u2028"}, {"id": "b", "value": [0.5, None]}]
    file = tmp_path / "rows.jsonl"
    file.write_text(json_lines(rows), encoding="utf-8")
    with file.open("ab") as end:
        end.write(b'\n\xff\xfe\n{"id": "c", "val')
    damaged = []
    found = list(read_json_lines(file, lambda number, error: damaged.append((number, type(error)))))
    assert found == [(1, rows[0]), (2, rows[1])]
    assert [number for number, _ in damaged] == [4, 5] and all(issubclass(kind, ValueError) for _, kind in damaged)


def test_a_reader_may_refuse_damaged_lines(tmp_path):
    (tmp_path / "rows.jsonl").write_text("1\nnonsense\n2\n")

    def refuse(number, error):
        raise LookupError(f"line {number}") from error

    with pytest.raises(LookupError, match="line 2"):
        list(read_json_lines(tmp_path / "rows.jsonl", refuse))


HOLD = """
import sys, time
from processing.errors_gem import EvaluationError
from recipes.files import one_writer
with one_writer(sys.argv[1], EvaluationError):
    print("holds", flush=True)
    time.sleep(60)
"""


def test_one_process_writes_at_a_time_and_a_killed_one_leaves_no_lock(tmp_path):
    path = tmp_path / "new" / "report"
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None and other.stdout.readline() == "holds\n"
        with pytest.raises(EvaluationError, match="another run is writing here"), one_writer(path, EvaluationError):
            pass
    finally:
        other.kill()
        other.wait()
    with one_writer(path, EvaluationError):
        pass
    with one_writer(path, EvaluationError):  # and a second time in the same process
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(EvaluationError, match="cannot be written"),
        one_writer(tmp_path / "file" / "x", EvaluationError),
    ):
        pass
