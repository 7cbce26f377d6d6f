# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A data set in Croissant 1.0 (https://docs.mlcommons.org/croissant/docs/croissant-spec.html), for search engines and tools."""

from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Image, List, Value

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_LICENCES = {
    "cc-by-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "odc-by": "https://opendatacommons.org/licenses/by/1-0/",
    "apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
}


def croissant(
    name: str,
    description: str,
    licence: str | None,
    configs: Mapping[str, Mapping[str, Any]],
    notes: Sequence[Mapping[str, Any]],
    meant: Mapping[str, tuple[Any, str]],
) -> dict[str, Any]:
    """
    Args:
        configs: configuration -> splits.
        notes: the shards, with `file`, `bytes` and `sha256`.
        meant: column -> its type and meaning.
    """
    files = [
        {
            "@type": "cr:FileObject",
            "@id": note["file"],
            "name": note["file"],
            "contentUrl": note["file"],
            "contentSize": f"{note['bytes']} B",
            "encodingFormat": "application/x-parquet",
            "sha256": note["sha256"],
        }
        for note in notes
    ]
    owners = list(dict.fromkeys(note["file"].split("/")[1] for note in notes))
    sets = [
        {
            "@type": "cr:FileSet",
            "@id": f"parquet-{owner}",
            "name": f"parquet-{owner}",
            "encodingFormat": "application/x-parquet",
            "includes": f"data/{owner}/*.parquet",
        }
        for owner in owners
    ]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": description,
        "license": _LICENCES.get(licence or "", licence or "other"),
        "url": "https://huggingface.co/datasets",
        "version": "1.0.0",
        "distribution": files + sets,
        "recordSet": [_record_set(owner, meant) for owner in owners],
    }


def _record_set(owner: str, meant: Mapping[str, tuple[Any, str]]) -> dict[str, Any]:
    fields = [_field(f"{owner}/{column}", column, kind, meaning, owner) for column, (kind, meaning) in meant.items()]
    return {"@type": "cr:RecordSet", "@id": owner, "name": owner, "key": {"@id": f"{owner}/id"}, "field": fields}


def _field(identifier: str, column: str, feature: Any, meaning: str, owner: str) -> dict[str, Any]:
    kind, repeated = feature, False
    while isinstance(kind, List):
        kind, repeated = kind.feature, True
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": identifier,
        "name": identifier.split("/", 1)[1],
        "description": meaning,
        **({"repeated": True} if repeated else {}),
    }
    source = {"fileSet": {"@id": f"parquet-{owner}"}, "extract": {"column": column}}
    if not isinstance(kind, dict):
        return field | {"dataType": _data_type(kind), "source": source}
    members = [
        {
            "@type": "cr:Field",
            "@id": f"{identifier}/{name}",
            "name": f"{column}/{name}",
            "dataType": _data_type(member),
            "source": {**source, "transform": [{"jsonPath": name}]},
        }
        for name, member in kind.items()
        # A list within a structure within a list has no place in Croissant 1.0.
        if not isinstance(member, List)
    ]
    return field | {"subField": members}


def _data_type(feature: Any) -> str:
    if isinstance(feature, Image):
        return "sc:ImageObject"
    if isinstance(feature, Value) and feature.dtype.startswith("int"):
        return "sc:Integer"
    return "sc:Float" if isinstance(feature, Value) and feature.dtype.startswith("float") else "sc:Text"


__all__ = ["croissant"]
