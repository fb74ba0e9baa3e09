"""Label Studio's JSON and JSON-MIN exports of text labelled with `<Labels>`.

Tasks that nobody annotated are counted and left out. A task annotated more than once is refused unless one annotation
is marked as ground truth: which of two people is right is not for a reader to say.

Older versions count UTF-16 code units, in which an emoji is two. Which count a span uses is seen from the text that the
export quotes with it; where it quotes none, characters are meant.
"""

from collections.abc import Iterator
from pathlib import Path

from fedner.data.reading.annotations import AnnotatedText, Annotation
from fedner.data.reading.json_values import Value, read_values
from fedner.data.reading.source import ReadReport

_REGIONS = ("labels", "hypertextlabels")
_NOT_METADATA = ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time")


def read_label_studio(path: str | Path, encoding: str, report: ReadReport) -> Iterator[AnnotatedText]:
    """Yield the tasks of an export.

    Raises:
        DataError: as `read_values`; something is missing or of the wrong form; a task has several annotations.
    """
    for task in read_values(path, encoding=encoding):
        holder = task.field("data") if task.has("data") else task
        text = _text_field(holder)
        regions = _regions(task, report) if task.has("data") else _plain_regions(task)
        spans = tuple(span for region in regions or () for span in _spans(region, text.text(), report))
        identity = task.field("id").name() if task.has("id") else None
        left_out = (text.place.inside.rpartition(".")[2], *(() if task.has("data") else _NOT_METADATA))
        metadata = holder.scalars(left_out)
        annotated = regions is not None
        yield AnnotatedText(identity, text.text(), spans, task.place, metadata=metadata, annotated=annotated)


def _text_field(holder: Value) -> Value:
    """Return the text: `text`, or the one string that the task has."""
    if holder.has("text"):
        return holder.field("text")
    texts = [field for field in holder.fields().values() if isinstance(field.value, str)]
    if len(texts) != 1:
        raise holder.place.error(f"expected `text`, or one string alone, got {len(texts)}; name the text's key `text`")
    return texts[0]


def _regions(task: Value, report: ReadReport) -> list[Value] | None:
    """Return what the task's one annotation marks; None without an annotation."""
    made = [
        each
        for each in task.list_of("annotations")
        if not (each.has("was_cancelled") and each.field("was_cancelled").value)
    ]
    chosen = [each for each in made if each.has("ground_truth") and each.field("ground_truth").value] or made
    if not chosen:
        return None
    if len(chosen) > 1:
        raise task.place.error(
            f"has {len(chosen)} annotations; mark one of them as ground truth, or export one of them"
        )
    regions: list[Value] = []
    for region in chosen[0].list_of("result"):
        kind = region.field("type").text()
        if kind in _REGIONS:
            regions.append(region.field("value"))
        else:
            report.ignored["relations" if kind == "relation" else "other regions"] += 1
    return regions


def _plain_regions(task: Value) -> list[Value] | None:
    """Return the labels of a JSON-MIN task, under whatever name the project gave them."""
    lists = [field for field in task.fields().values() if isinstance(field.value, list)]
    found = [list(field.items()) for field in lists]
    if not found:
        return None
    return [region for regions in found for region in regions if region.has("labels")]


def _spans(region: Value, text: str, report: ReadReport) -> Iterator[Annotation]:
    if region.has("startOffset") or region.has("globalOffsets"):
        raise region.place.error("marks HTML, whose offsets count within tags; export a project with <Text>")
    start, end = region.field("start").number(), region.field("end").number()
    quoted = region.field("text").text() if region.has("text") else None
    start, end = _in_characters(start, end, text, quoted)
    if not region.has("labels"):
        report.ignored["regions without a label"] += 1
    for label in region.list_of("labels"):
        yield Annotation(label.text(), ((start, end),), region.place, quoted)


def _in_characters(start: int, end: int, text: str, quoted: str | None) -> tuple[int, int]:
    """Return offsets in characters, if the quoted text shows that they were counted in UTF-16 units."""
    if quoted is None or not 0 <= start < end or text[start:end] == quoted:
        return start, end
    units = text.encode("utf-16-le")
    if units[2 * start : 2 * end] != quoted.encode("utf-16-le"):
        return start, end
    first = len(units[: 2 * start].decode("utf-16-le", "replace"))
    return first, first + len(quoted)
