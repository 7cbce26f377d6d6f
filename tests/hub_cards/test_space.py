# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The Space over HTTP, as browsers use it: samples, uploads, questions, evidence; hostile input; many users at once."""

import concurrent.futures
import contextlib
import io
import re
import socket
import urllib.error
import urllib.request
import zipfile
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from hub_cards.space.gem_space import interpreter, session, uploads, views
from processing.ecg_readers import load_ecg
from processing.errors_gem import GemError
from tests.helpers.disturbances import with_exchanged_arms
from tests.helpers.html_tags import Tags

gradio = pytest.importorskip("gradio", reason="the Space needs the extra `demo`")
from gradio_client import Client, handle_file  # noqa: E402

SAMPLES = Path(__file__).resolve().parents[2] / "processing" / "samples"
SIGNAL = next(name for name, seen in session.MODALITIES.items() if seen == "signal")


def client(server):
    return Client(server[0], verbose=False)


def answers(talk):
    """Questions and answers of a conversation, as text."""
    return [Tags(words).text for words in re.findall(r'<p class="words".*?</p>', talk, re.DOTALL)]


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_sample_interpretation_evidence_and_follow_up(server):
    user = client(server)
    status, _, page, table, csv, talk, *_ = user.predict("inferior_infarction", api_name="/open_sample")
    assert "inferior_infarction" in status and "data:image/png" in page and not talk
    assert len(table["data"]) == 12 and len(table["headers"]) == 15 and "data:text/csv" in csv
    focused, *_ = user.predict("V2", api_name="/focus")
    assert "lead V2" in focused and 'class="box' not in focused
    talk, page, *_ = user.predict(SIGNAL, "Mark", api_name="/interpret")
    assert answers(talk)[-1].startswith("Sinus rhythm") and 'id="claim-1"' in talk and 'class="box c1' in page
    assert re.search(r"\d+ contradicted, [1-9]\d* supported, \d+ not measurable", talk)
    focused, talk, _ = user.predict("II", api_name="/focus")
    assert "lead II" in focused and 'class="box c1' in focused and 'id="claim-1"' in talk
    talk, *_ = user.predict("What is the <ecg> rate?", SIGNAL, "Mark", api_name="/ask")
    assert (
        len(answers(talk)) == 4 and answers(talk)[-1] and talk.count('id="claim-1"') == 1
    )  # earlier answers stay marked
    change, other, _ = user.predict("normal", api_name="/compare")
    assert change["data"][0][0].startswith("Heart rate") and "data:image/png" in other


def test_an_upload_is_read(server):
    _, folder = server
    user = client(server)
    pair = [handle_file(SAMPLES / f"normal.{suffix}") for suffix in ("hea", "dat")]
    status, _, page, *_ = user.predict(pair, api_name="/open_upload")
    assert "normal" in status and "alert" not in status and "data:image/png" in page
    assert not list(folder.path.glob("reading-*"))


@pytest.mark.parametrize("is_upload", [False, True])
def test_an_answer_is_shown_with_the_label_of_its_file(server, monkeypatch, is_upload):
    """For samples and uploads. A note appears only where the answer differs from the label."""
    user = client(server)
    if is_upload:
        pair = [handle_file(SAMPLES / f"atrial_fibrillation.{suffix}") for suffix in ("hea", "dat")]
        user.predict(pair, api_name="/open_upload")
    else:
        user.predict("atrial_fibrillation", api_name="/open_sample")
    said = {"text": "Rhythm: atrial flutter, regular."}
    check = session.check_answer
    monkeypatch.setattr(session, "check_answer", lambda text, *given, **more: check(said["text"], *given, **more))
    flutter, *_ = user.predict(SIGNAL, "Mark", api_name="/interpret")
    said["text"] = "Rhythm: atrial fibrillation."
    both, *_ = user.predict("Which rhythm?", SIGNAL, "Mark", api_name="/ask")
    assert flutter.count("label in the file: atrial fibrillation") == 1
    assert flutter.count("the answer says atrial flutter, the label does not") == both.count("the answer says") == 1
    assert both.count("label in the file") == 2


def test_a_file_without_diagnoses_and_one_with_markup_in_them(gem):
    record = uploads.read_sample("normal").record
    for labels, shown in (({}, False), ({"<b>" * 10**6: 1.0}, True)):
        opened = session.measured(uploads.Upload("mine", replace(record, labels=labels)))
        talk = views.conversation(
            replace(
                session.checked(session.answered(session.asked(opened, gem, "", "signal"), "Sinus rhythm.")),
                marks=((),),
            )
        )
        assert ("label in the file" in talk) == shown and "<b>" not in talk and len(talk) < 20_000


def test_a_remedy_is_one_that_users_of_the_page_have(server, tmp_path):
    (tmp_path / "no_rate.csv").write_text(
        "I,II,III\n" + "\n".join(f"{i % 7 / 10},{i % 5 / 10},{i % 3 / 10}" for i in range(5000))
    )
    status, *_ = client(server).predict([handle_file(tmp_path / "no_rate.csv")], api_name="/open_upload")
    said = Tags(status).text
    assert "--sampling-rate" in said and views.OPTIONS_ARE_ELSEWHERE in said and "sampling_rate" not in said
    assert views.OPTIONS_ARE_ELSEWHERE not in views.message("Nothing to state.")


def npz_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f8", "fortran_order": False, "shape": (12, 10_000_000_000)}
        )
        archive.writestr("signal.npy", header.getvalue() + bytes(10_000_000))
    return buffer.getvalue()


def png_bomb() -> bytes:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("words.csv", b"<script>alert(1)</script>"),
        ("bomb.npz", npz_bomb()),
        ("bomb.png", png_bomb()),
        ("noise.bin", bytes(range(256)) * 40),
        ("empty.hea", b""),
    ],
)
def test_bad_uploads_end_in_a_message_and_leave_nothing(server, tmp_path, name, content):
    _, folder = server
    (tmp_path / name).write_bytes(content)
    user = client(server)
    status, *_ = user.predict([handle_file(tmp_path / name)], api_name="/open_upload")
    assert 'role="alert"' in status and Path(name).stem in status and "<script" not in status
    assert str(folder.parent) not in status and not list(folder.path.glob("reading-*"))
    status, *_ = user.predict("normal", api_name="/open_sample")
    assert "alert" not in status


def test_too_large_an_upload_is_refused_by_the_server(server, tmp_path):
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(uploads.MAX_UPLOAD_BYTES + 2**20)
    with pytest.raises(Exception, match=r"(?i)large|413|size"):
        client(server).predict([handle_file(large)], api_name="/open_upload")
    assert client(server).predict("normal", api_name="/open_sample")


def test_uploads_beyond_the_limit_are_cut_off_however_they_are_parted(server):
    """One file of 100 MB, and 20 files of 5 MB in one request, both of unannounced length: refused, and not kept."""
    url, folder = server
    address = urlsplit(url)
    for files, size in ((1, 100), (20, 5)):
        kept = 0
        with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
            head = "POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=X\r\n"
            connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            with contextlib.suppress(OSError):
                for number in range(files):
                    part = f'--X\r\nContent-Disposition: form-data; name="files"; filename="{number}.csv"\r\n\r\n'
                    for piece in (part.encode(), *[bytes(2**20)] * size, b"\r\n"):
                        connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
                    kept = max(kept, sum(path.stat().st_size for path in files_in(folder.uploads)))
            assert b" 413 " in connection.recv(1000).splitlines()[0]
        assert kept <= uploads.MAX_UPLOAD_BYTES + 2**21
    assert "alert" not in client(server).predict("normal", api_name="/open_sample")[0]


def test_nothing_of_the_machine_or_of_other_users_is_served(server):
    url, folder = server
    for path in ("/etc/passwd", "pyproject.toml", str(folder.path), str(folder.uploads / "vibe_edit_history")):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{url}gradio_api/file={path}")
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{url}gradio_api/runs")
    first, second = client(server), client(server)
    first.predict("inferior_infarction", api_name="/open_sample")
    *_, problem = second.predict("All leads", api_name="/focus")
    assert "Open an ECG first" in problem


def test_ten_users_at_once_each_see_their_own_ecg(server):
    names = (uploads.sample_names() * 3)[:10]

    def visit(name):
        user = client(server)
        status, *_ = user.predict(name, api_name="/open_sample")
        talk, page, *_ = user.predict(SIGNAL, "Mark", api_name="/interpret")
        return status, talk, re.sub(r"data:[^\"]*", "", page)

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        seen = list(pool.map(visit, names))
    for name, (status, talk, page) in zip(names, seen, strict=True):
        assert name in status and answers(talk)[-1] and 'class="box' in page
        assert (talk, page) == next(other[1:] for at, other in zip(names, seen, strict=True) if at == name)


def test_questions_cannot_contain_special_tokens(gem):
    tokens = gem.processor.all_special_multimodal_tokens
    question = gem.plain("Look: " + "".join(tokens) + "".join(gem.processor.tokenizer.all_special_tokens))
    assert not any(token in question for token in tokens)
    with pytest.raises(GemError, match="characters"):
        gem.plain("x" * 501)


HOSTILE = '<script>alert(1)</script> & "<img src=x onerror=alert(1)>" ${alert(1)} {{value}} `x`'


def harmless(html):
    """The page, after a check that no text became a tag, and that a template engine of the browser finds nothing to run."""
    page = Tags(html)
    assert not page.named("script") and not any("onerror" in tag for tag in page.named("img"))
    assert not any(sign in html for sign in ("${", "{{", "`"))
    return page


@pytest.mark.parametrize("is_error", [False, True])
def test_a_message_is_shown_as_text(is_error):
    page = harmless(views.message(HOSTILE, is_error))
    assert page.text.strip() == HOSTILE and page.named("p")[0]["role"] == ("alert" if is_error else "status")


def test_a_chat_is_shown_as_text():
    chat = [{"role": "user", "content": [{"type": "text", "text": HOSTILE}]}]
    page = harmless(views.conversation(session.Session(chat=tuple(chat))))
    assert HOSTILE in page.text


def test_contradicted_words_show_the_measurement_and_no_word_is_lost():
    opened = session.measured(uploads.read_sample("normal"))
    said = f"Sinus rhythm, 190 bpm. PR 126 ms. {HOSTILE} Scar in the septum."
    asked = replace(opened, chat=({"role": "user", "content": [{"type": "text", "text": "?"}]},))
    read = session.checked(session.answered(asked, said))
    page, (marks,) = views.page_view(read, views.FULL_LENGTH)
    talk = views.conversation(replace(read, marks=(marks,)))
    harmless(page)
    words = [Tags(found).text for found in re.findall(r'<span class="quoted">(.*?)</span>', talk)]
    assert words[:2] == ["Sinus rhythm", "190 bpm"] and words == [mark.quote for mark in marks]
    assert HOSTILE in harmless(talk).text and "Scar in the septum." in talk
    measured = round(opened.features.heart_rate)
    assert f"190 bpm✗ contradicted measured {measured} bpm. PR 126 ms✓ supported. " in Tags(talk).text
    assert "1 contradicted" in talk
    radios = [tag for tag in Tags(talk).named("input") if tag["type"] == "radio"]
    assert [tag["id"] for tag in radios] == [*(f"claim-{mark.number}" for mark in marks), "claim-all"]
    assert all(f'id="{tag["aria-describedby"]}"' in talk for tag in radios[:-1])
    boxes = {tag["for"] for tag in Tags(page).named("label") if "box" in tag.get("class", "")}
    assert boxes == {f"claim-{mark.number}" for mark in marks if mark.boxes}


def test_words_of_a_question_that_were_not_taught_are_named(server):
    user = client(server)
    user.predict("normal", api_name="/open_sample")
    talk, *_ = user.predict(SIGNAL, "Mark", api_name="/interpret")
    assert "was not taught" not in talk
    talk, *_ = user.predict("Is there a zigzag?", SIGNAL, "Mark", api_name="/ask")
    assert "was not taught 'zigzag'" in Tags(talk).text


def test_other_answers_are_tried_and_what_is_left_is_corrected(server):
    """What the small model says of an inferior infarct is contradicted by its waveform."""
    user = client(server)
    user.predict("inferior_infarction", api_name="/open_sample")
    for wrong, left in (
        ("Mark", "1 contradicted"),
        ("Try other answers", "contradicted"),
        ("Correct", "0 contradicted"),
    ):
        talk, *_ = user.predict(SIGNAL, wrong, api_name="/interpret")
        assert left in talk and ("answers were tried" in talk) == (wrong != "Mark")
        assert ("Changed:" in talk) <= (wrong == "Correct")


def test_an_answer_that_was_cut_off_is_marked_and_its_last_word_not_checked(server, monkeypatch):
    user = client(server)
    user.predict("first_degree_av_block", api_name="/open_sample")
    marked = "Answer cut off before its end; the unfinished last word is not checked."
    for wrong in ("Mark", "Correct"):
        monkeypatch.setattr(interpreter, "MAX_NEW_TOKENS", 21)
        talk, *_ = user.predict(SIGNAL, wrong, api_name="/interpret")
        assert answers(talk)[-1].endswith("The QRS axis is 7") and marked in Tags(talk).text
    monkeypatch.setattr(interpreter, "MAX_NEW_TOKENS", 256)
    talk, *_ = user.predict("What is the rhythm?", SIGNAL, "Mark", api_name="/ask")
    assert talk.count("cut off") == 1  # the one before stays marked, the new one is whole
    talk, *_ = user.predict(SIGNAL, "Mark", api_name="/interpret")
    assert "The QRS axis is 7" in Tags(talk).text and "cut off" not in talk


def test_a_picture_alone_is_headed_as_not_checked():
    asked = replace(
        session.measured(uploads.Upload("a.png", picture=Image.new("RGB", (9, 9)))),
        chat=({"role": "user", "content": [{"type": "text", "text": "?"}]},),
    )
    read = session.checked(session.answered(asked, "VT."))
    _, marks = views.page_view(read)
    read = replace(read, marks=marks)
    talk = views.conversation(read)
    assert (
        "picture only: not checked" in talk and talk.index("picture only") < talk.index("VT.") and "claim-" not in talk
    )


def test_an_answer_that_calls_an_ecg_none_is_marked():
    asked = replace(
        session.measured(uploads.Upload("a.hea", record=load_ecg(SAMPLES / "normal.hea"))),
        chat=({"role": "user", "content": [{"type": "text", "text": "?"}]},),
    )
    for text, marked in (("This cannot be read as an ECG: one second is too short.", True), ("Sinus rhythm.", False)):
        read = session.checked(session.answered(asked, text))
        talk = Tags(views.conversation(replace(read, marks=views.page_view(read)[1]))).text
        assert ("The model calls this no ECG; the heartbeat check found one (11 beats at 68 bpm)." in talk) == marked


def test_a_doubtful_recording_is_told_below_the_answer():
    record = load_ecg(SAMPLES / "normal.hea")
    turned = load_ecg(with_exchanged_arms(record.signal), sampling_rate=500)
    chat = ({"role": "user", "content": [{"type": "text", "text": "?"}]},)
    for shown, told in ((turned, True), (record, False)):
        asked = replace(session.measured(uploads.Upload("a.hea", record=shown)), chat=chat)
        read = session.checked(session.answered(asked, "Sinus rhythm."))
        talk = Tags(views.conversation(replace(read, marks=views.page_view(read)[1]))).text
        assert ("The recording: electrodes exchanged? left arm and right arm" in talk) == told


def test_what_is_not_an_ecg_gets_a_reason_and_no_answer(server, tmp_path):
    flat = np.stack([np.arange(5000) / 500, np.zeros(5000), np.zeros(5000)], axis=1)
    header = "time (s),I (mV),II (mV)"
    np.savetxt(tmp_path / "flat.csv", flat, delimiter=",", fmt="%g", header=header, comments="")
    user = client(server)
    user.predict("normal", api_name="/open_sample")
    user.predict(SIGNAL, "Mark", api_name="/interpret")
    status, _, page, _, csv, talk, *_ = user.predict([handle_file(tmp_path / "flat.csv")], api_name="/open_upload")
    assert "No reading" in status and "No reading" in page and "data:image" not in page and not talk and not csv
    assert "Open an ECG first" in user.predict(SIGNAL, "Mark", api_name="/interpret")[3]


def test_the_name_of_a_record_or_picture_is_shown_as_text():
    record = uploads.read_sample("normal").record
    for upload, lead, said in (
        (uploads.Upload(HOSTILE, record), views.ALL_LEADS, f"ECG 1: {HOSTILE}, all leads"),
        (uploads.Upload(HOSTILE, record), views.FULL_LENGTH, f"ECG 1: {HOSTILE}, all leads in full length"),
        (uploads.Upload(HOSTILE, record), "V2", f"ECG 1: {HOSTILE}, lead V2"),
        (uploads.Upload(HOSTILE, picture=Image.new("RGB", (9, 9))), views.ALL_LEADS, f"ECG 1: picture {HOSTILE}"),
    ):
        page = harmless(views.page_view(session.Session(upload), lead)[0])
        assert [image["alt"] for image in page.named("img")] == [said]
        assert {tag["aria-label"] for _, tag in page.tags if "aria-label" in tag} == {
            f"{said}; scrolls when magnified"
        }


def test_a_question_is_shown_as_text(server):
    user = client(server)
    user.predict("normal", api_name="/open_sample")
    user.predict(SIGNAL, "Mark", api_name="/interpret")
    talk, *_ = user.predict("Is <script>V1</script> & V2 flat?", SIGNAL, "Mark", api_name="/ask")
    assert "Is &lt;script&gt;V1&lt;/script&gt; &amp; V2 flat?" in talk


def test_publishing_sends_the_app_and_the_packages_that_it_needs(tmp_path):
    from recipes.publishing.plan import plan_space

    plan = plan_space(Path(uploads.__file__).parents[1], tmp_path)
    names = set(plan.files)
    assert {"app.py", "requirements.txt", "gem_space/interface.py", "processing/ecg_readers.py"} <= names
    assert {"gem_space/templates/views.html.j2", "processing/evidence/templates/sheet.html.j2"} <= names
    assert "hub_cards/space/app.py" not in names
