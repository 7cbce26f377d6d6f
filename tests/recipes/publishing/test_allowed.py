# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Only files that a model, a data set or a Space consists of are published; others are reported, and some are never published."""

import bz2
import gzip
import lzma
import pickle
import tarfile
import zlib
from pathlib import Path

import pytest

import modeling_gem
from processing.errors_gem import PublishError
from recipes.publishing.allowed import check_allowed, check_no_secrets
from recipes.publishing.checks import check_text_file, is_identity
from recipes.publishing.plan import list_files, plan_space
from tests.helpers.shared_data import shared_path

ROOT = Path(__file__).parents[3]
KINDS = ("model", "dataset", "space")
PICKLED = pickle.dumps({"a": [1, 2]}, protocol=4)


def check(folder, kind="dataset", include=()):
    check_allowed(folder, list_files(folder)[0], kind, include)


def put(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    [
        "record.dcm",
        "record.DCM2",
        "record.xml",
        "a/00001.hea",
        "records.zip",
        "x.bdf",
        "x.tar.gz",
        "x.7z",
        "weights.h5",
        "IM00001",
        "x.exe",
    ],
)
def test_other_kinds_of_files_are_named_and_may_be_included(tmp_path, kind, name):
    put(tmp_path, "README.md", "# Card")
    put(tmp_path, name, "x")
    with pytest.raises(PublishError, match=f"not what a {kind} is made of: {name}.*--include"):
        check(tmp_path, kind)
    check(tmp_path, kind, include=[name])
    check(tmp_path, kind, include=["*" + Path(name).suffix] if Path(name).suffix else ["IM*"])


def test_every_foreign_file_is_named_at_once(tmp_path):
    for number in range(30):
        put(tmp_path, f"{number:02d}.dcm", "x")
    with pytest.raises(PublishError, match=r"00\.dcm, 01\.dcm.*19\.dcm and 10 more"):
        check(tmp_path)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zlib.compress])
def test_pickles_of_every_protocol_never_go(tmp_path, protocol, pack):
    put(tmp_path, "table.txt", pack(pickle.dumps({"name": [1, 2.5, None]}, protocol=protocol)))
    with pytest.raises(PublishError, match="pickle"):
        check(tmp_path, include=["*"])


def test_a_tar_of_pickles_is_an_archive(tmp_path):
    put(tmp_path, "evil.pt", PICKLED)
    with tarfile.open(tmp_path / "notes.txt", "w") as archive:
        archive.add(tmp_path / "evil.pt")
    (tmp_path / "evil.pt").unlink()
    with pytest.raises(PublishError, match=r"notes\.txt: a tar archive"):
        check(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\0" * 128 + b"DICM" + b"\2\0" * 20, "a DICOM file"),
        (b"\1" * 16 + b"SCPECG" + b"\0" * 40, "an SCP-ECG file"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 40, "an HDF5 file"),
        (b"0       Doe^Jane M 02-MAY-1951", "an EDF file"),
        (b"ISHNE1.0" + b"\0" * 40, "an ISHNE file"),
        (b"7z\xbc\xaf\x27\x1c" + b"\0" * 40, "a 7z archive"),
        (b"%PDF-1.7", "a PDF"),
        (b"text\0text", "binary data under the name of a text"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_content_that_is_not_text_is_refused(tmp_path, kind, content, words):
    put(tmp_path, "notes.txt", content)
    with pytest.raises(PublishError, match=words):
        check(tmp_path, kind)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.parquet", "dataset"), ("a.png", "space"), ("a.jpg", "model"), ("model.safetensors", "model")],
)
def test_content_must_match_the_name(tmp_path, name, kind):
    put(tmp_path, name, b"Doe, Jane; 1951-05-02")
    with pytest.raises(PublishError, match=name):
        check(tmp_path, kind)


SECRETS = (
    "hf_" + "aB3" * 11, "sk-" + "proj-" + "x1Y2" * 8, "ghp_" + "a1B2" * 9, "AKIA" + "ABCD1234" * 2, "AIza" + "x" * 35,
    "-----BEGIN OPENSSH PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----", '"OPENAI_API_KEY": "' + "q9" * 12 + '"',
)  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("name", ["README.md", "app.py", "config.json", "rows.csv", "notes"])
def test_secrets_are_found_in_every_text_and_not_repeated(tmp_path, secret, name):
    path = put(tmp_path, name, f"first line\nvalue = {secret}\n")
    with pytest.raises(PublishError, match=f"{name}: line 2") as error:
        check_no_secrets(name, path)
    assert secret not in str(error.value)


@pytest.mark.parametrize(
    "name",
    [
        "hf_token.txt",
        "secrets.json",
        "id_rsa",
        "prod.env",
        "server.pem",
        "my-api-key.txt",
        "passwords.csv",
        "x/.netrc",
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_names_of_secrets_never_go(tmp_path, kind, name):
    path = put(tmp_path, name, "x")
    with pytest.raises(PublishError, match="named like a key"):
        check_allowed(tmp_path, {name: path}, kind, include=["*"])


def test_links_do_not_lead_out_of_the_folder(tmp_path):
    outside = put(tmp_path, "outside/passwd.txt", "root")
    folder = tmp_path / "data"
    put(folder, "README.md", "# Card")
    (folder / "notes.txt").symlink_to(outside)
    with pytest.raises(PublishError, match=r"notes\.txt: a link to a place outside"):
        check(folder, include=["*"])
    (folder / "notes.txt").unlink()
    (folder / "notes.md").symlink_to(folder / "README.md")
    check(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_what_models_data_sets_and_spaces_are_made_of_passes(tmp_path, kind):
    if kind == "model":
        check(modeling_gem.default_checkpoint(), kind)
    elif kind == "space":
        check(ROOT / "hub_cards" / "space", kind)
    else:
        check(shared_path("data/ptbxl"), kind, include=["*.md"])


@pytest.mark.parametrize("kind", ("model", "space"))
def test_identities_beside_models_and_spaces(tmp_path, kind):
    path = put(tmp_path, "patient.csv", "patient_name,mrn\nDoe,4711\n")
    with pytest.raises(PublishError, match="`patient_name`"):
        check_text_file(path)
    if kind == "space":
        put(tmp_path, "README.md", "---\nsdk: static\n---\n")
        stage = tmp_path / "stage"
        stage.mkdir()
        with pytest.raises(PublishError, match="`patient_name`"):
            plan_space(tmp_path, stage)


@pytest.mark.parametrize(
    "name",
    [
        "Name", "PID", "pat_nm", "referrer", "Geburtsdatum", "Patientenname", "Vorname", "Straße", "prénom", "Nom", "date de naissance",
        "Apellidos", "fecha_nacimiento", "Cognome", "data di nascita", "Personnummer", "födelsedatum", "fødselsdato", "Achternaam",
        "nome do paciente", "Endereço",
    ],
)  # fmt: skip
def test_identities_in_other_languages(name):
    assert is_identity(name) and not is_identity(f"{name}_hash")


@pytest.mark.parametrize(
    "name", ["file_name", "lead_names", "display name of lead", "nominal", "pidgin", "names_of_leads"]
)
def test_innocent_names(name):
    assert not is_identity(name)
