# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Finds words of a file that may name a person: in lines of a report, devices and names of channels.

Only listed words are found. A name alone in a line ("Jones") is not recognised.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from .ecg_lead_names import STANDARD_LEADS, canonical_lead, is_number_name

# Who read, took or asked for the ECG: participles and the word for "by", in the languages of ECG carts. "Caused by" and
# "obscured by" are no such participles. Without accents, as `_plain` writes.
_BY = {
    "by": "confirmed reviewed signed read interpreted verified edited overread approved validated authorized authenticated "
    "dictated transcribed reported analyzed analysed referred requested ordered performed recorded acquired taken attended "
    "unconfirmed checked over-read electronically",
    "von durch": "befundet bestatigt gelesen validiert freigegeben unterschrieben unterzeichnet vidiert gezeichnet uberwiesen "
    "zugewiesen angefordert aufgezeichnet durchgefuhrt erstellt beurteilt kontrolliert gepruft bestaetigt ueberwiesen",
    "par": "valide confirme lu interprete signe relu verifie adresse prescrit demande realise enregistre edite analyse",
    "av af": "bekraftad granskad tolkad signerad last remitterad utford godkand bedomd bekraeftet bekreftet godkendt godkjent "
    "henvist tolket signeret signert udfort utfort vurderet vurdert laest lest rekvireret rekvirert",
    "por": "confirmado validado revisado firmado leido interpretado remitido solicitado realizado informado verificado "
    "referido laudado assinado encaminhado lido revisto",
    "da dal dalla": "confermato validato refertato firmato letto interpretato inviato richiesto eseguito verificato revisionato",
    "door": "bevestigd beoordeeld gelezen verwezen aangevraagd ondertekend gevalideerd geregistreerd gemaakt",
}
# Words before a name, if a colon, a number or a name follows. "patient" in prose ("paced patient") does not count.
_FIELDS = (
    "patient name", "name", "first name", "last name", "surname", "given name", "family name", "patient", "patients", "patient id", "id",
    "pat", "pid", "mrn", "ssn", "medical record", "account", "accession", "encounter", "visit", "case", "room", "bed", "ward", "location",
    "address", "phone", "tel", "fax", "email", "insurance", "technician", "tech", "technologist", "attending", "physician", "doctor",
    "cardiologist", "consultant", "nurse", "operator", "reader", "referring", "referring physician", "ordering physician", "referrer",
    "hospital", "clinic", "institution", "department", "comment", "comments", "history", "order", "provider", "confirmed", "reviewed",
    "signed", "signature", "dob", "d o b", "born", "birth", "birthdate", "birthday", "date of birth",
    # German, Dutch
    "patientin", "vorname", "nachname", "familienname", "geb", "geboren", "geburtsdatum", "fallnummer", "fallnr", "fall", "station",
    "zimmer", "adresse", "telefon", "arzt", "arztin", "oberarzt", "befunder", "zuweiser", "uberweiser", "einsender", "mta", "techniker",
    "klinik", "krankenhaus", "versichertennummer", "naam", "voornaam", "achternaam", "geboortedatum", "arts", "aanvrager", "laborant",
    # French
    "nom", "prenom", "patiente", "ne le", "nee le", "date de naissance", "medecin", "technicien", "technicienne", "infirmier",
    "infirmiere", "chambre", "service", "hopital", "prescripteur",
    # Swedish, Danish, Norwegian
    "namn", "fornamn", "efternamn", "personnummer", "fodelsedatum", "fodd", "lakare", "sjukskoterska", "remittent", "avdelning",
    "navn", "fornavn", "efternavn", "etternavn", "fodselsdato", "cpr", "laege", "lege", "sygeplejerske",
    # Spanish, Portuguese, Italian
    "nombre", "apellido", "apellidos", "paciente", "fecha de nacimiento", "nacido", "medico", "tecnico", "enfermera", "enfermero",
    "nome", "sobrenome", "data de nascimento", "cognome", "paziente", "data di nascita", "nato il", "nata il", "infermiere",
    "reparto", "codice fiscale",
)  # fmt: skip
# Of these the word alone gives a line away, whatever follows.
_ALWAYS = (
    "referred by", "referring physician", "referring doctor", "ordering physician", "attending physician", "technician", "attending md",
    "date of birth", "dob", "mrn", "ssn", "medical record number", "geburtsdatum", "befunder", "zuweiser", "uberweiser", "einsender",
    "date de naissance", "medecin referent", "personnummer", "fodelsedatum", "fodselsdato", "fecha de nacimiento", "data de nascimento",
    "data di nascita", "geboortedatum", "codice fiscale", "electronically signed", "patient name", "first name", "last name", "surname",
    "vorname", "nachname", "prenom", "cognome", "apellidos", "fornamn", "efternamn", "achternaam",
)  # fmt: skip


def _any_of(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_PERSON = re.compile(
    "|".join(
        [
            *(
                rf"\b(?:{_any_of(done.split())})\s*(?:electronically\s*)?(?:\b(?:{_any_of(by.split())})\b|:)"
                for by, done in _BY.items()
            ),
            rf"^\W*(?:{_any_of(_FIELDS)})\b\s*(?:[:=#]|n[or]\b|\d)",
            rf"\b(?:{_any_of(_ALWAYS)})\b",
            r"^\W*name\b|\bgeb\.",
            # Titles: "Dr. Jones", "J. Jones, M.D.", "Prof. Dr. med.", "Dott.ssa".
            r"\b(?:drs?|prof|dra|dott|dottssa|herr|frau|mme|sigra)\b[. ]|\bmrs?\. ",
            r"\bm\.? ?d\.?(?:\W|$)|\bph\.? ?d\b|\bmbbs\b|\bdr med\b",
            r"\S@\S",
        ]
    )
)
# Dates, and numbers as long as those of patients and visits.
_DATE = re.compile(
    r"\b\d{1,2}([./-])\d{1,2}\1(?:\d{4}|\d{2})\b|\b\d{4}-\d{2}-\d{2}\b|\b\d{6,}\b"
    r"|\b\d{1,2}[ .-]{0,2}(?:jan|feb|mar|mär|apr|may|mai|maj|jun|jul|aug|sep|oct|okt|nov|dec|dez)[^\W\d]*[ .-]{1,2}\d{2,4}\b",
    re.IGNORECASE,
)
# What ends a statement. A full stop after a title, an initial or another abbreviation does not.
_END = re.compile(r";|\n|\.(?=\s)")
_NO_END = re.compile(r"\b(?:drs?|prof|dra|dott|med|mr|mrs|sig|pat|geb|tel|nr|no|st|[a-z])$", re.IGNORECASE)
# Makers of electrocardiographs, as their files and leaflets write them.
_MAKERS = {
    maker.casefold(): maker
    for maker in (
        "Marquette", "Philips", "Hewlett-Packard", "Agilent", "Schiller", "Mortara", "Hillrom", "Hill-Rom", "Welch Allyn", "Burdick",
        "Spacelabs", "Nihon Kohden", "Fukuda Denshi", "Suzuken", "Cardiac Science", "Quinton", "Siemens", "Draeger", "Mindray", "Edan",
        "Biocare", "Contec", "Zoncare", "Comen", "Cardioline", "Esaote", "Norav", "BTL", "Cardiax", "Medisoft", "AMEDTEC", "Getemed",
        "custo med", "Bionet", "Innomed", "AliveCor", "Apple", "Withings", "Physio-Control", "Zoll", "Corpuls", "Nemon", "CardioSecur",
        "BIOPAC", "Del Mar Reynolds", "Reynolds Medical", "Medilog", "iRhythm", "Bittium", "Kenz", "Aspel", "Dixion", "Cambridge Heart",
        "GE Healthcare", "GE Medical Systems", "GE",
    )
}  # fmt: skip
_MAKER = re.compile(rf"\b(?:{_any_of(_MAKERS)})\b", re.IGNORECASE)
# A model is one of a known family with its number: "MAC 5500", "TC70", "AT-10"; PTB-XL's "CS-12   E".
_MODEL = re.compile(
    r"\b(?:MAC|TC|AT|CS|FT|MS|ELI|CP|SE|FX|FCP|ECG|AR|PC|CM|XR|S|M)[ -]?\d{1,5}[A-Z]{0,2}\b"
    r"|\b(?:MAC(?: VU| Lab)?|PageWriter(?: Trim| Touch)?(?: I{1,3})?|CARDIOVIT|ELI|CardioSoft|MUSE)\b"
)
# What a channel of a file is called, with its row, whose name is not a lead's.
OTHER_LEAD = "other"
_OTHER_LEADS = re.compile(
    r"V(?:[7-9]|1\d)|V[1-9]R|X|Y|Z|M?L(?:I{1,3}|[1-3])|ML[56]|CM[1-6]|CC5|CS[1-6]|MCL[1-6]|-aVR|MV[1-6]|MX|MY|MZ|EASI|A-?[IS]|E-?S|E[CK]G"
    rf"|{OTHER_LEAD} \d+",
    re.IGNORECASE,
)
_MAX_NAME = 40


def _plain(text: str) -> str:
    """Lower case without accents, one blank between words: `"Validé  par"` -> `"valide par"`."""
    bare = text.replace("ß", "ss").replace("ø", "o").replace("Ø", "O").replace("æ", "ae").replace("Æ", "AE")
    return " ".join(unicodedata.normalize("NFKD", bare).encode("ascii", "ignore").decode().lower().split())


def names_person(line: str) -> bool:
    """Whether a line of a report says who the patient is, or who asked for, took or read the ECG.

    By word lists in English, German, Dutch, French, Swedish, Danish, Norwegian, Spanish, Portuguese and Italian.
    """
    return _PERSON.search(_plain(line)) is not None


def split_signatures(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """`lines` of a report without those that name a person, and those. Dates and long numbers become "..."."""
    kept: list[str] = []
    signed: list[str] = []
    for line in (" ".join(line.split()) for line in lines):
        if names_person(line):
            signed.append(line)
        elif line:
            kept.append(_DATE.sub("...", line))
    return kept, signed


def without_persons(report: str) -> str:
    """A report without the statements that name a person; dates and long numbers become "...". What is kept is as it was."""
    parts = _statements(report)
    kept = [_DATE.sub("...", part) for part in parts if not names_person(part)]
    return "".join(kept) if len(kept) == len(parts) else "".join(kept).strip().rstrip(";").rstrip()


def _statements(report: str) -> list[str]:
    """The statements of a report, each with its end."""
    parts, start = [], 0
    for end in _END.finditer(report):
        if end.group() != "." or not _NO_END.search(report[start : end.start()]):
            parts.append(report[start : end.end()])
            start = end.end()
    return [*parts, report[start:]]


def known_device(text: str) -> str:
    """Maker and model as far as they are known by name and form; empty for free text.

    >>> known_device("GE Healthcare MAC 5500, room 4, Jones")
    'GE Healthcare MAC 5500'
    """
    makers = dict.fromkeys(_MAKERS[found.group().casefold()] for found in _MAKER.finditer(text))
    models = _MODEL.findall(_MAKER.sub(" ", text))[:1]
    return " ".join([*makers, *models])


def named(channels: Sequence[str] | Iterable[str]) -> str:
    """Names of channels for a note: lead names as they are, other words of the file in quotation marks.

    Quoted words are not published: `unquoted` removes them.
    """
    return ", ".join(name if is_lead_name(name) else quoted(name) for name in map(str, channels))


def quoted(words: object) -> str:
    """Words of a file in a note of ours, cut to a length."""
    return f'"{" ".join(str(words).replace(chr(34), " ").split())[:_MAX_NAME]}"'


def unquoted(note: str) -> str:
    """A note without a file's own words."""
    return re.sub(r'"[^"]*"', '"..."', note)


def is_lead_name(name: str) -> bool:
    """Whether a name is one of a lead that is in use, in any spelling, or only counts; others may be anything, a person's too."""
    known = canonical_lead(name) in STANDARD_LEADS or _OTHER_LEADS.fullmatch(name) is not None
    return known or is_number_name(name)


__all__ = [
    "OTHER_LEAD",
    "is_lead_name",
    "known_device",
    "named",
    "names_person",
    "quoted",
    "split_signatures",
    "unquoted",
    "without_persons",
]
