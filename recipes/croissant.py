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
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
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
            "containedIn": [{"@id": note["file"]} for note in notes if note["file"].split("/")[1] == owner],
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
    fields = []
    for column, (feature, meaning) in meant.items():
        kind, repeated = _data_type(feature)
        fields.append(
            {
                "@type": "cr:Field",
                "@id": f"{owner}/{column}",
                "name": column,
                "description": meaning,
                "dataType": kind,
                **({"repeated": True} if repeated else {}),
                "source": {"fileSet": {"@id": f"parquet-{owner}"}, "extract": {"column": column}},
            }
        )
    return {"@type": "cr:RecordSet", "@id": owner, "name": owner, "key": {"@id": f"{owner}/id"}, "field": fields}


def _data_type(feature: Any) -> tuple[str, bool]:
    """Croissant's type of a column, and whether it holds a list; structures are text (JSON) to it."""
    if isinstance(feature, List):
        return _data_type(feature.feature)[0], True
    if isinstance(feature, Image):
        return "sc:ImageObject", False
    if isinstance(feature, Value) and feature.dtype.startswith("int"):
        return "sc:Integer", False
    if isinstance(feature, Value) and feature.dtype.startswith("float"):
        return "sc:Float", False
    return "sc:Text", False


__all__ = ["croissant"]
