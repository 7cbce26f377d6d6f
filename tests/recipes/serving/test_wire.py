# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Contents of a message: every encoding of an ECG gives the same record, and no part is ignored."""

import base64
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from processing.ecg_readers import load_ecg
from processing.errors_gem import EcgFormatError, GemError
from recipes.serving import uploads, wire
from recipes.serving.media import AllowedMedia
from recipes.serving.uploads import read_ecg, read_picture
from recipes.serving.wire import (
    SentEcg,
    SentPicture,
    WireError,
    data_url,
    decode_data_url,
    read_messages,
    read_part,
)

SAMPLES = Path(__file__).resolve().parents[3] / "processing" / "samples"
RECORD = load_ecg(SAMPLES / "normal.hea")


def table() -> bytes:
    """The record as CSV, which does not hold the sampling rate."""
    file = io.StringIO()
    np.savetxt(file, RECORD.signal.T, delimiter=",", fmt="%.6f", header=",".join(RECORD.leads), comments="")
    return file.getvalue().encode()


def zipped(**files: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name.replace("__", "."), data)
    return archive.getvalue()


def record_zip() -> bytes:
    return zipped(**{f"folder/normal.{kind}": (SAMPLES / f"normal.{kind}").read_bytes() for kind in ("hea", "dat")})


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def url_of(part: dict) -> dict:
    return {"type": "audio_url", "audio_url": part}


ARRAY = {"signal": RECORD.signal.tolist(), "leads": list(RECORD.leads), "unit": "mV", "sampling_rate": 500}
DRESSES = {
    "file": {"type": "file", "file": {"file_data": b64(record_zip()), "filename": "x.zip"}},
    "file as data URL": {"type": "file", "file": {"file_data": data_url(record_zip(), "application/zip")}},
    "file with options": {"type": "file", "file": {"file_data": b64(table()), "sampling_rate": 500, "unit": "mV"}},
    "audio_url": url_of({"url": data_url(table(), "text/csv", sampling_rate=500, unit="mV")}),
    "audio_url, options beside": url_of({"url": data_url(table()), "sampling_rate": 500, "unit": "mV"}),
    "said twice, the same": url_of({"url": data_url(table(), sampling_rate=500), "sampling_rate": 500.0}),
    "ecg": {"type": "ecg", "data": b64(record_zip())},
    "ecg as array": {"type": "ecg", **ARRAY},
}


@pytest.mark.parametrize("name", DRESSES)
def test_every_encoding_gives_the_same_record(name):
    part = read_part(DRESSES[name], "part")
    assert isinstance(part, SentEcg)
    record = read_ecg(part.file)
    assert record.leads == RECORD.leads and record.sampling_rate == 500
    assert np.allclose(record.signal, RECORD.signal, atol=1e-5)


def test_options_choose_leads_and_seconds():
    url = data_url(table(), sampling_rate=500, leads=["II", "V1"], start=2, seconds=5)
    record = read_ecg(read_part(url_of({"url": url}), "part").file)
    assert record.leads == ("II", "V1") and record.duration == 5
    assert np.allclose(record.lead("V1"), RECORD.lead("V1")[1000:3500], atol=1e-5)


def test_a_data_url_comes_back_as_it_was():
    options = {"sampling_rate": 257.5, "leads": ["I", "V 1"], "gain": [200.0, 1.5], "unit": "uV"}
    assert decode_data_url(data_url(b"\0\xff,;", "text/csv", **options)) == (b"\0\xff,;", options)


def test_a_picture_is_recognised_in_every_encoding():
    from processing.ecg_page import render_ecg

    file = io.BytesIO()
    render_ecg(RECORD).to_pil().save(file, format="PNG")
    url = data_url(file.getvalue(), "image/png")
    parts = (
        {"type": "image_url", "image_url": {"url": url, "detail": "high"}},
        {"type": "file", "file": {"file_data": url}},
        {"type": "ecg", "data": b64(file.getvalue())},
    )
    for part in parts:
        sent = read_part(part, "part")
        assert isinstance(sent, SentPicture) and read_picture(sent.file).size[0] > 500


def test_options_of_a_picture():
    url = data_url(b"\x89PNG\r\n\x1a\n", "image/png", digitize="true", page_layout="3x4+1")
    sent = read_part({"type": "image_url", "image_url": {"url": url, "page_speed": 50}}, "part")
    assert sent.is_digitized(default=False) and sent.page == {"layout": "3x4+1", "speed": 50}
    plain = read_part({"type": "file", "file": {"file_data": b64(b"\x89PNG\r\n\x1a\n")}}, "part")
    assert (
        isinstance(plain, SentPicture) and plain.is_digitized(default=True) and not plain.is_digitized(default=False)
    )


PNG = b64(b"\x89PNG\r\n\x1a\n")
BAD_PARTS = {
    "rate of a picture": ({"type": "ecg", "data": PNG, "sampling_rate": 500}, "this is a picture.*not \\['sampling_rate'\\]"),
    "digitised signal": ({"type": "ecg", "data": "QUJD", "digitize": True}, "this is an ECG.*not \\['digitize'\\]"),
    "rate in the URL of a picture": (
        {"type": "image_url", "image_url": {"url": data_url(b"x", sampling_rate=5)}}, "not \\['sampling_rate'\\]"
    ),
    "page that is not looked at": (
        {"type": "ecg", "data": PNG, "digitize": False, "page_gain": 5}, "leave out digitize=false"
    ),
    "unknown type": ({"type": "video_url", "video_url": {"url": "x"}}, "known are text, file, audio_url, ecg, image_url"),
    "no type": ({"text": "x"}, "type None"),
    "no dict": ("x", "type None"),
    "unknown key": ({"type": "ecg", "data": "QUJD", "sample_rate": 500}, "unknown key\\(s\\) \\['sample_rate'\\]"),
    "unknown key inside": (url_of({"url": data_url(b"x"), "rate": 5}), "unknown key\\(s\\) \\['rate'\\]"),
    "unknown parameter": (url_of({"url": "data:;rate=5;base64,QUJD"}), "unknown key\\(s\\) \\['rate'\\]"),
    "two rates": (url_of({"url": data_url(b"x", sampling_rate=500), "sampling_rate": 250}), "say it once"),
    "parameter twice": (url_of({"url": "data:;unit=mV;unit=uV;base64,QUJD"}), "twice"),
    "no rate": ({"type": "ecg", "data": "QUJD", "sampling_rate": "fast"}, "sampling_rate"),
    "rate of nothing": ({"type": "ecg", "data": "QUJD", "sampling_rate": 0}, "greater than 0"),
    "unit": ({"type": "ecg", "data": "QUJD", "unit": "kV"}, "unit is"),
    "no base64": ({"type": "ecg", "data": "%%%%"}, "not base64"),
    "base64 with a gap": ({"type": "ecg", "data": "QUJ D"}, "not base64"),
    "other alphabet": ({"type": "ecg", "data": "ÄÄÄÄ"}, "not base64"),
    "empty": ({"type": "ecg", "data": ""}, "a base64 text"),
    "empty data URL": (url_of({"url": "data:;base64,"}), "the file is empty"),
    "data URL as text": (url_of({"url": "data:text/csv,1,2"}), "not in base64"),
    "data URL without data": (url_of({"url": "data:text/csv;base64"}), "no data URL"),
    "no url": (url_of({}), "'url' is missing"),
    "stored file": ({"type": "file", "file": {"file_id": "f-1"}}, "no stored files"),
    "file as text": ({"type": "file", "file": "x"}, "expected"),
    "two sources": ({"type": "ecg", "data": "QUJD", "url": "file:///x"}, "one of"),
    "ragged array": ({"type": "ecg", "signal": [[1, 2], [1]], "sampling_rate": 500}, "list of leads"),
    "array of words": ({"type": "ecg", "signal": [["a"]], "sampling_rate": 500}, "list of leads"),
    "local file": (url_of({"url": "file:///etc/passwd"}), "not opened here"),
    "remote file": (url_of({"url": "https://example.org/x"}), "not opened here"),
    "text of numbers": ({"type": "text", "text": 5}, "expected a text"),
    "half a character": ({"type": "text", "text": "\ud800"}, "half of a character"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_PARTS)
def test_bad_parts_are_refused_with_a_reason(name):
    part, words = BAD_PARTS[name]
    with pytest.raises(WireError, match=words) as caught:
        read_part(part, "messages[0].content[0]")
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "ends with a question"),
        ([{"role": "assistant", "content": "x"}], "ends with a question"),
        ([{"role": "tool", "content": "x"}], "role is system"),
        ([{"role": "user", "content": None}], "a text or a list"),
        ([{"role": "user", "content": "x", "tool_calls": []}], "unknown key"),
        ([{"role": "system", "content": [DRESSES["ecg"]]}, {"role": "user", "content": "x"}], "of the role"),
        ([{"role": "user", "content": [DRESSES["ecg"]] * 5}], "5 ECGs; a request holds 4"),
        ([{"role": "user", "content": "x" * 9000}], "9,000 characters"),
        ([{"role": "user", "content": "x"}] * 65, "65 messages"),
    ],
)  # fmt: skip
def test_bad_conversations_are_refused(messages, words):
    with pytest.raises(WireError, match=words):
        read_messages(messages)


def test_a_file_and_its_sender_may_not_differ():
    for said in ({"sampling_rate": 250}, {"unit": "uV"}):
        with pytest.raises(WireError, match="given by the caller, the file says"):
            read_ecg(read_part({**DRESSES["ecg"], **said}, "part").file)


def test_too_large_files_are_refused_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(wire, "MAX_FILE_BYTES", 1000)
    assert len(read_part({"type": "ecg", "data": b64(bytes(1000))}, "part").file.data) == 1000
    with pytest.raises(WireError, match="1,000 bytes") as caught:
        read_part({"type": "ecg", "data": b64(bytes(1010))}, "part")
    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (zipped(a__csv=b"1,2"), "one .hea"),
        (zipped(a__hea=b"x", b__hea=b"x"), "one .hea"),
        (zipped(**{f"{n}.dat": b"x" for n in range(20)}, a__hea=b"x"), "one .hea"),
        (zipped(**{"a/normal.hea": b"x", "b/normal.hea": b"x"}), "one .hea"),
        (zipped(a__hea=b"x", a__dat=bytes(30 * 2**20)), "unpacked it has more"),
        (record_zip()[:-30], "cut off"),
        (record_zip().replace(b"normal", b"NORMAL", 1), "cannot be unpacked"),
        (zipped(**{f"{n:05d}.dat": b"" for n in range(2000)}), "far too many"),
    ],
)
def test_bad_zips_are_refused(archive, words):
    with pytest.raises(EcgFormatError, match=words):
        read_ecg(read_part({"type": "ecg", "data": b64(archive)}, "part").file)


def test_an_npz_is_no_record_of_several_files():
    file = io.BytesIO()
    np.savez(file, signal=RECORD.signal, sampling_rate=500, leads=np.array(RECORD.leads))
    assert read_ecg(read_part({"type": "ecg", "data": b64(file.getvalue())}, "part").file).leads == RECORD.leads


def test_file_names_cannot_leave_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads.tempfile, "tempdir", str(tmp_path))
    for name in ("../../x.csv", "..", "/etc/passwd", "a\\b.csv", "x\0.csv", "", "." * 300):
        part = {"type": "file", "file": {"file_data": b64(b"1,2\n" * 9), "filename": name}}
        with pytest.raises(GemError) as caught:
            read_ecg(read_part(part, "part").file)
        assert str(tmp_path) not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_files_below_the_allowed_folder_can_be_named(tmp_path):
    for kind in ("hea", "dat"):
        (tmp_path / f"normal.{kind}").write_bytes((SAMPLES / f"normal.{kind}").read_bytes())
    outside = tmp_path.parent / f"{tmp_path.name}_outside.csv"
    outside.write_bytes(table())
    (tmp_path / "link.csv").symlink_to(outside)
    fetch = AllowedMedia(tmp_path)
    part = read_part(url_of({"url": (tmp_path / "normal.hea").as_uri()}), "part", fetch)
    assert read_ecg(part.file).leads == RECORD.leads
    for path in (outside.as_uri(), f"{tmp_path.as_uri()}/../{outside.name}", (tmp_path / "link.csv").as_uri(),
                 f"{tmp_path.as_uri()}/absent.hea", "file://host/x", "https://example.org/x"):  # fmt: skip
        with pytest.raises(WireError):
            read_part(url_of({"url": path}), "part", fetch)


def test_only_named_hosts_are_asked(httpserver_of):
    url = httpserver_of({"/normal.csv": (200, table()), "/elsewhere": (302, b"")})
    fetch = AllowedMedia(hosts=["127.0.0.1"])
    part = read_part(url_of({"url": f"{url}/normal.csv", "sampling_rate": 500}), "part", fetch)
    assert read_ecg(part.file).leads == RECORD.leads
    for other in (
        f"{url}/absent",
        f"{url}/elsewhere",
        url.replace("127.0.0.1", "localhost"),
        "http://[::1/",
        "ftp://127.0.0.1/x",
    ):
        with pytest.raises(WireError):
            read_part(url_of({"url": other}), "part", fetch)


@pytest.fixture
def httpserver_of():
    """Starts a server of fixed answers: path -> status and content."""
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    servers = []

    def start(pages):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                status, content = pages.get(self.path, (404, b""))
                self.send_response(status)
                self.send_header("location", "/normal.csv")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
