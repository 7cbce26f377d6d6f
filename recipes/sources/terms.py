# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Shared parts of all cards: templates, tags, and the licences, agreements, known biases and citations of data and base models."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import hub_cards

TEMPLATES = Path(hub_cards.__file__).parent
TAGS = ["ecg", "electrocardiogram", "gem", "multimodal", "time-series", "medical"]


@dataclass(frozen=True)
class Terms:
    """The terms of a source. `licence`: the Hub's identifier of the licence that a model made from it inherits."""

    pattern: str
    title: str
    agreement: str
    licence: str | None = None
    bias: str | None = None
    bibtex: str | None = None

    def covers(self, name: str) -> bool:
        """Whether these terms are those of the data set of this name."""
        return re.search(self.pattern, name, re.IGNORECASE) is not None


GEM_BIBTEX = """@inproceedings{lan2025gem,
  title={GEM: Empowering MLLM for Grounded ECG Understanding with Time Series and Images},
  author={Lan, Xiang and Wu, Feng and He, Kai and Zhao, Qinghao and Hong, Shenda and Feng, Mengling},
  booktitle={Advances in Neural Information Processing Systems},
  year={2025}
}"""

DATA_TERMS = (
    Terms(
        r"ptb-?_?xl",
        "PTB-XL",
        "PTB-XL (Wagner et al. 2020): CC BY 4.0. Name the authors when you pass it on.",
        "cc-by-4.0",
        "PTB-XL comes from one country (Germany), was recorded between 1989 and 1996 on devices of one maker, and holds few "
        "records of children. Its labels carry its annotators' errors; rare findings are few.",
        """@article{wagner2020ptbxl,
  title={{PTB-XL}, a large publicly available electrocardiography dataset},
  author={Wagner, Patrick and Strodthoff, Nils and Bousseljot, Ralf-Dieter and Kreiseler, Dieter and Lunze, Fatima I and Samek, Wojciech and Schaeffter, Tobias},
  journal={Scientific Data},
  volume={7},
  number={154},
  year={2020},
  doi={10.1038/s41597-020-0495-6}
}""",
    ),
    Terms(
        r"mimic",
        "MIMIC-IV-ECG",
        "MIMIC (PhysioNet): what is linked to MIMIC-IV's hospital tables and notes is under a data use agreement with "
        "credentialed access: it may not be passed on, and may not be sent to services that are not covered. Everybody who "
        "uses it signs for themselves on PhysioNet.",
        None,
        "MIMIC comes from one hospital in Boston: people who were ill enough to be there.",
        """@misc{gow2023mimicivecg,
  title={{MIMIC-IV-ECG}: Diagnostic Electrocardiogram Matched Subset},
  author={Gow, Brian and Pollard, Tom and Nathanson, Larry A and Johnson, Alistair and Moody, Benjamin and others},
  publisher={PhysioNet},
  year={2023}
}""",
    ),
    Terms(r"ludb", "LUDB", "LUDB (PhysioNet): ODC-By 1.0. Name the source when you pass it on.", "odc-by"),
    Terms(r"ecg-?_?qa", "ECG-QA", "ECG-QA (Oh et al. 2023): CC BY 4.0 for the questions on PTB-XL.", "cc-by-4.0"),
    Terms(
        r"cpsc|chapman|ningbo|\bcsn\b|georgia|g12ec|code-?_?15",
        "CPSC, Chapman, Ningbo, Georgia, CODE-15",
        "CPSC2018, Chapman/Shaoxing, Ningbo, Georgia (PhysioNet Challenge 2020/2021) and CODE-15 %: CC BY 4.0. Name the "
        "sources when you pass them on.",
        "cc-by-4.0",
    ),
    Terms(
        r"simulat",
        "simulated ECGs",
        "Simulated ECGs (`processing/simulator/simulator.py`): no person behind them.",
        None,
        "Simulated ECGs show textbook findings without the variety of patients.",
    ),
)

BASE_TERMS = (
    Terms(
        r"vicuna.*v?1\.5|llama-?2|llava.*vicuna|llava-v?1\.[56]|pulse|lansg/gem",
        "Vicuna v1.5 (Llama 2)",
        "The language model descends from Vicuna v1.5 and thereby from Llama 2: the Llama 2 Community License and its "
        "acceptable use policy apply. Vicuna and LLaVA were tuned on conversations with OpenAI's models, whose terms their "
        "authors pass on: research use.",
        "llama2",
    ),
    Terms(
        r"vicuna|llama-?1\b|llama-7b|llava-v?1\.1",
        "Vicuna (LLaMA)",
        "The language model descends from the first LLaMA: its non-commercial research licence applies, and the weights may "
        "not be passed on without it.",
        "other",
    ),
    Terms(
        r"llama-?3",
        "Llama 3",
        "The language model descends from Llama 3: the Llama 3 Community License applies; 'Built with Meta Llama 3' has to "
        "be shown.",
        "llama3",
    ),
)


def terms_of(names: list[str], known: tuple[Terms, ...]) -> list[Terms]:
    """The entry for each name, each once; the first that covers a name counts."""
    found = [next((terms for terms in known if terms.covers(name)), None) for name in names]
    return list(dict.fromkeys(terms for terms in found if terms is not None))


def dataset_id(name: str) -> str:
    """A data set's name as metadata take it: Hub ids stay, titles become lower case with dashes."""
    return name if "/" in name else name.strip().lower().replace(" ", "-").replace("_", "-")


def citations(terms: Iterable[Terms]) -> str:
    """BibTeX of the paper and of the data sets."""
    return "\n\n".join([GEM_BIBTEX, *(item.bibtex for item in terms if item.bibtex)])


__all__ = [
    "BASE_TERMS",
    "DATA_TERMS",
    "GEM_BIBTEX",
    "TAGS",
    "TEMPLATES",
    "Terms",
    "citations",
    "dataset_id",
    "terms_of",
]
