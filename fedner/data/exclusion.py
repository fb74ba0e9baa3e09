"""Documents left out on reading, by id: what an audit found to lie in the training text as well, say.

The file has one document id a line. An id that no document has is an error, since it would leave a leak in place.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedner.data.corpus import Document
from fedner.errors import DataError


@dataclass(frozen=True)
class Remaining:
    """The documents that stay, by split, and how many were left out of each split that lost any."""

    documents: Mapping[str, tuple[Document, ...]]
    left_out: Mapping[str, int]

    @property
    def notice(self) -> str:
        """Return a sentence about it; empty if all stay."""
        if not self.left_out:
            return ""
        counts = ", ".join(f"{number:,} {split}" for split, number in self.left_out.items())
        return f"Documents left out by data.exclude_documents: {counts}."


def leave_out(splits: Mapping[str, Sequence[Document]], path: str | None) -> Remaining:
    """Return the documents without those that the file names; None leaves none out.

    Raises:
        DataError: the file cannot be read, or names a document that is not there.
    """
    if path is None:
        return Remaining({split: tuple(documents) for split, documents in splits.items()}, {})
    excluded = _read(Path(path))
    known = {document.id for documents in splits.values() for document in documents}
    for name, line in excluded.items():
        if name not in known:
            raise DataError(
                f"expected the id of a document, got {name!r}, which none has; write the list anew with "
                "`fedner data audit --write-excluded` if files were renamed or changed",
                path,
                line,
            )
    kept = {
        split: tuple(document for document in documents if document.id not in excluded)
        for split, documents in splits.items()
    }
    lost = {split: len(documents) - len(kept[split]) for split, documents in splits.items()}
    return Remaining(kept, {split: number for split, number in lost.items() if number})


def write_excluded(names: Iterable[str], path: str | Path) -> None:
    """Write the ids of documents for `data.exclude_documents`; a file that is there stays.

    Raises:
        DataError: the file is there already or cannot be written.
    """
    text = "".join(f"{name}\n" for name in names)
    try:
        with Path(path).open("x", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
            file.write(text)
    except FileExistsError as error:
        raise DataError("expected a new file to write document ids to, got one that is there already", path) from error
    except OSError as error:
        raise DataError(f"cannot write document ids ({error.strerror})", path) from error


def _read(path: Path) -> dict[str, int]:
    """Return id -> line."""
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogatepass").split("\n")
    except OSError as error:
        raise DataError(f"cannot read document ids to leave out ({error.strerror})", path) from error
    except UnicodeDecodeError as error:
        raise DataError("expected document ids in UTF-8, got other bytes", path) from error
    return {line: number for number, line in enumerate(lines, start=1) if line}
