"""Where the text comes from and how one corpus becomes simulated sites."""

from dataclasses import dataclass, field
from enum import StrEnum

from omegaconf import MISSING

from fedner.config.checks import require
from fedner.config.knobs import PathKind, knob

_PATH = knob(path=PathKind.path)


class DataKind(StrEnum):
    """Where a corpus comes from."""

    conll2003 = "conll2003"
    synthetic = "synthetic"
    files = "files"
    sites = "sites"
    hub = "hub"
    at_sites = "at_sites"


class TextFormat(StrEnum):
    """How a corpus file is written; `auto` looks at the suffix and the beginning."""

    auto = "auto"
    conll = "conll"
    jsonl = "jsonl"
    brat = "brat"
    bioc_json = "bioc_json"
    bioc_xml = "bioc_xml"
    pubtator = "pubtator"
    doccano = "doccano"
    label_studio = "label_studio"
    spacy_json = "spacy_json"
    docbin = "docbin"


class TagScheme(StrEnum):
    """How entity boundaries are written in the source; `auto` detects it from the whole file."""

    auto = "auto"
    iob1 = "iob1"
    iob2 = "iob2"
    bioes = "bioes"
    bilou = "bilou"
    bare = "bare"


class OnIllegal(StrEnum):
    """What happens to an illegal tag sequence in the source."""

    repair = "repair"
    refuse = "refuse"


class Misaligned(StrEnum):
    """What happens to an annotated span that begins or ends within a word."""

    refuse = "refuse"
    snap = "snap"


class Nested(StrEnum):
    """What happens to spans that overlap, of which IOB2 can express only one."""

    refuse = "refuse"
    outermost = "outermost"
    innermost = "innermost"


class Discontinuous(StrEnum):
    """What happens to an entity in several pieces with words between them, which IOB2 cannot express."""

    refuse = "refuse"
    hull = "hull"
    drop = "drop"


@dataclass(kw_only=True)
class ContractConfig:
    """The label contract, written down; tag ids follow from the order of `types` alone."""

    name: str = "entities"
    """Name of the contract, shown in refusals and reports."""
    version: int = 1
    """Version, raised whenever a meaning or the list of types changes."""
    types: dict[str, str] = field(default_factory=dict)
    """Entity type -> its meaning in one sentence, in tag order."""


@dataclass(kw_only=True)
class DataConfig:
    """Settings that every source of text has."""

    kind: DataKind = MISSING
    contract: ContractConfig = field(default_factory=ContractConfig, metadata=knob(tracked=False))
    """The label contract, inline; leave `types` empty to use `contract_file`."""
    contract_file: str | None = field(default=None, metadata=_PATH)
    """YAML file with name, version and types, in place of the inline contract."""
    scheme: TagScheme = TagScheme.auto
    """Tagging scheme of the source."""
    on_illegal: OnIllegal = OnIllegal.repair
    """Repair illegal tag sequences and report their number, or refuse the file."""
    train_sentences: int | None = None
    """Keep seeded random whole documents until the training split has this many sentences (> 0); None keeps all."""
    dev_sentences: int | None = None
    """The same for the dev split, which is scored after every round (> 0); None keeps all."""
    sample_seed: int = 0
    """Seed of that choice; kept apart from the run seed so that every seed trains on the same text."""
    exclude_documents: str | None = field(default=None, metadata=_PATH)
    """File with one document id a line, of documents to leave out on reading; `fedner data audit` writes one."""

    def __post_init__(self) -> None:
        for name in ("train_sentences", "dev_sentences"):
            value = getattr(self, name)
            require(value is None or value > 0, f"data.{name}", "a number above 0 or null", value)


@dataclass(kw_only=True)
class Conll2003Data(DataConfig):
    """The official English CoNLL-2003, fetched on first use; Reuters text, research use only."""

    kind: DataKind = DataKind.conll2003


@dataclass(kw_only=True)
class SyntheticData(DataConfig):
    """Generated notes of several institutions; for tests and first steps, never for a quality claim."""

    kind: DataKind = DataKind.synthetic
    institutions: int = 4
    """How many institutions write, each with its own templates, name pools and entity mix (1 to 16)."""
    train_documents: int = 80
    """Training documents in all (> 0)."""
    dev_documents: int = 24
    """Development documents in all (> 0)."""
    test_documents: int = 24
    """Test documents in all (> 0)."""
    generator_seed: int = 0
    """Seed of the text itself, apart from the run seed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.institutions <= 16, "data.institutions", "1 to 16", self.institutions)
        for name in ("train_documents", "dev_documents", "test_documents"):
            require(getattr(self, name) > 0, f"data.{name}", "a number above 0", getattr(self, name))


@dataclass(kw_only=True)
class TextFilesData(DataConfig):
    """Settings of all files of the user's own."""

    format: TextFormat = TextFormat.auto
    """File format of all files."""
    encoding: str = "utf-8"
    """Character encoding of the files."""
    word_column: int = 0
    """Column of the word in a CoNLL file, from 0; negative counts from the end."""
    tag_column: int = -1
    """Column of the tag in a CoNLL file, from 0; negative counts from the end."""
    misaligned: Misaligned = Misaligned.refuse
    """Span that begins or ends within a word: refuse the file, or snap it outward to whole words and count it."""
    nested: Nested = Nested.refuse
    """Overlapping spans: refuse the file, or keep the longer (outermost) or shorter (innermost) and count the rest."""
    discontinuous: Discontinuous = Discontinuous.refuse
    """Entity in pieces: refuse the file, take all from its first to its last word (hull), or drop it; counted."""


@dataclass(kw_only=True)
class FilesData(TextFilesData):
    """The user's own files, one list per split."""

    kind: DataKind = DataKind.files
    train: list[str] = field(default_factory=list, metadata=_PATH)
    """Training files."""
    dev: list[str] = field(default_factory=list, metadata=_PATH)
    """Development files; used to choose the round, never to train."""
    test: list[str] = field(default_factory=list, metadata=_PATH)
    """Test files; scored once, at the end."""


@dataclass(kw_only=True)
class SitesData(TextFilesData):
    """A folder with one sub-folder per site, each holding train, dev and test files: a natural partition."""

    kind: DataKind = DataKind.sites
    root: str = field(default=MISSING, metadata=_PATH)
    """The folder; a site's name is its sub-folder's name, its files are train.*, dev.* and test.* (BRAT: folders)."""
    sites: list[str] = field(default_factory=list)
    """Sub-folders that take part, in any order; empty takes all that are not in `unseen`."""
    unseen: list[str] = field(default_factory=list)
    """Sub-folders that no arm trains on; their test files are scored as a site of their own."""


@dataclass(kw_only=True)
class HubData(DataConfig):
    """A Hugging Face data set by name, or a directory written by `datasets` `save_to_disk`."""

    kind: DataKind = DataKind.hub
    path: str = field(default=MISSING, metadata=knob(path=PathKind.folder_or_name))
    """Data set name on the hub, or a local directory."""
    subset: str | None = None
    """Configuration of the data set, where it has several."""
    revision: str | None = None
    """Commit or tag to pin."""
    train_split: str = "train"
    """Name of the training split."""
    dev_split: str = "validation"
    """Name of the development split."""
    test_split: str = "test"
    """Name of the test split."""
    words_column: str = "tokens"
    """Column with the list of words."""
    tags_column: str = "ner_tags"
    """Column with the list of tags, as ClassLabel ids or as strings."""
    document_column: str | None = None
    """Column that names the document of each row; None makes each row a document."""


@dataclass(kw_only=True)
class AtSitesData(DataConfig):
    """Nothing to read here: each site of a real federation reads the files that its own site file names.

    A run of this kind carries the label contract and no path. `scheme` and `on_illegal` are for federation.public_dev.
    """

    kind: DataKind = DataKind.at_sites

    def __post_init__(self) -> None:
        for name in ("train_sentences", "dev_sentences", "exclude_documents"):
            wanted = "null with data=at_sites, where each site decides which text it uses"
            require(getattr(self, name) is None, f"data.{name}", wanted, getattr(self, name))


class PartitionKind(StrEnum):
    """How one corpus becomes simulated sites."""

    iid = "iid"
    dirichlet = "dirichlet"
    quantity = "quantity"
    natural = "natural"


@dataclass(kw_only=True)
class PartitionConfig:
    """Settings of every partition. Documents are never cut, and never in two sites."""

    kind: PartitionKind = MISSING
    seed: int = 0
    """Seed of the partition, apart from the run seed so that every seed trains on the same sites."""
    annotated: dict[str, list[str]] = field(default_factory=dict)
    """Site -> the contract types it annotates, as in {site-0: [PER, LOC]}; the other entities are really taken out of
    its training and development text. Sites that are not named annotate all."""
    whole_test: bool = True
    """Leave the test text as it is, so that the full test set is scored; false takes the entities out there as well,
    and each site scores its own types only."""


@dataclass(kw_only=True)
class CountedPartition(PartitionConfig):
    """A partition into a chosen number of sites."""

    sites: int = 4
    """Number of sites (> 0), named site-0, site-1, …"""
    min_train_documents: int = 2
    """Every site gets at least this many training documents (> 0)."""

    def __post_init__(self) -> None:
        require(self.sites > 0, "partition.sites", "a number above 0", self.sites)
        require(self.min_train_documents > 0, "partition.min_train_documents", "above 0", self.min_train_documents)


@dataclass(kw_only=True)
class IidPartition(CountedPartition):
    """Documents dealt at random, equal numbers of sentences."""

    kind: PartitionKind = PartitionKind.iid


@dataclass(kw_only=True)
class DirichletPartition(CountedPartition):
    """Label skew: each entity type is spread over the sites by a Dirichlet draw."""

    kind: PartitionKind = PartitionKind.dirichlet
    alpha: float = 0.3
    """Concentration (> 0); small is skewed, large approaches iid."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.alpha > 0, "partition.alpha", "a number above 0", self.alpha)


@dataclass(kw_only=True)
class QuantityPartition(CountedPartition):
    """Size skew: the site of rank r gets a share proportional to r ** -exponent."""

    kind: PartitionKind = PartitionKind.quantity
    exponent: float = 1.0
    """Power-law exponent (>= 0); 0 is equal sizes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.exponent >= 0, "partition.exponent", "0 or more", self.exponent)


@dataclass(kw_only=True)
class NaturalPartition(PartitionConfig):
    """Sites given by the documents' own metadata, or by the folders of `data=sites`."""

    kind: PartitionKind = PartitionKind.natural
    by: str = "institution"
    """Metadata key that holds the site's name."""


DATA_CLASSES: dict[str, type[DataConfig]] = {
    DataKind.conll2003: Conll2003Data,
    DataKind.synthetic: SyntheticData,
    DataKind.files: FilesData,
    DataKind.sites: SitesData,
    DataKind.hub: HubData,
    DataKind.at_sites: AtSitesData,
}
PARTITION_CLASSES: dict[str, type[PartitionConfig]] = {
    PartitionKind.iid: IidPartition,
    PartitionKind.dirichlet: DirichletPartition,
    PartitionKind.quantity: QuantityPartition,
    PartitionKind.natural: NaturalPartition,
}
