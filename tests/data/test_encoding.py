"""Windows of word pieces: expected pieces come from the tokenizer itself or are written out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from fedner.config import Windowing
from fedner.data.corpus import Document, Sentence
from fedner.data.encoding import IGNORE, Encoded, encode, unlabelled
from fedner.data.labels import EntityType, LabelContract
from fedner.errors import InputError, LabelError

CONTRACT = LabelContract("test", 1, (EntityType("PER"), EntityType("LOC")))
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "an", "##na", "Anna", "cafe", "went", "to", "ber", "##lin", "a"]
PIECES += ["北", "京", ".", "b", "##b", "##a"]


def make_tokenizer(lowercase: bool) -> PreTrainedTokenizerFast:
    vocabulary = {piece: index for index, piece in enumerate(PIECES)}
    backend = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = BertNormalizer(lowercase=lowercase)
    backend.pre_tokenizer = BertPreTokenizer()
    special = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    backend.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


CASED, UNCASED = make_tokenizer(lowercase=False), make_tokenizer(lowercase=True)


def document(*sentences: tuple[list[str], list[str]]) -> Document:
    return Document("d", tuple(Sentence(tuple(words), tuple(tags)) for words, tags in sentences))


def windows(encoded: Encoded) -> list[tuple[list[str], list[int]]]:
    """Return the pieces and labels of each window."""
    result: list[tuple[list[str], list[int]]] = []
    for begin, end in zip(encoded.starts[:-1], encoded.starts[1:], strict=True):
        result.append(([PIECES[i] for i in encoded.input_ids[begin:end]], encoded.labels[begin:end].tolist()))
    return result


def test_first_piece_carries_the_tag_and_all_else_is_ignored() -> None:
    text = document((["Anna", "went", "to", "Berlin"], ["B-PER", "O", "O", "B-LOC"]))
    (window,) = windows(encode([text], UNCASED, CONTRACT, Windowing(16, 2)))
    assert window == (
        ["[CLS]", "an", "##na", "went", "to", "ber", "##lin", "[SEP]"],
        [IGNORE, 1, IGNORE, 0, 0, 3, IGNORE, IGNORE],
    )


def test_a_cased_tokenizer_keeps_case_and_an_uncased_one_strips_accents() -> None:
    text = document((["Anna", "Café"], ["B-PER", "O"]))
    (cased,) = windows(encode([text], CASED, CONTRACT, Windowing(16, 2)))
    (uncased,) = windows(encode([text], UNCASED, CONTRACT, Windowing(16, 2)))
    assert cased[0] == ["[CLS]", "Anna", "[UNK]", "[SEP]"]
    assert uncased[0] == ["[CLS]", "an", "##na", "cafe", "[SEP]"]


def test_a_chinese_word_of_two_characters_is_tagged_on_its_first() -> None:
    text = document((["北京", "北"], ["B-LOC", "I-LOC"]))
    (window,) = windows(encode([text], CASED, CONTRACT, Windowing(16, 2)))
    assert window == (["[CLS]", "北", "京", "北", "[SEP]"], [IGNORE, 3, IGNORE, 4, IGNORE])


@pytest.mark.parametrize("invisible", ["\u200b", "\ufeff", "\x00", "\u00ad", ""])
def test_a_word_that_the_tokenizer_strips_becomes_unknown_and_keeps_its_place(invisible: str) -> None:
    text = document((["a", invisible, "to"], ["O", "B-LOC", "O"]), ([invisible], ["B-PER"]))
    encoded = encode([text], CASED, CONTRACT, Windowing(16, 2))
    assert windows(encoded) == [
        (["[CLS]", "a", "[UNK]", "to", "[SEP]"], [IGNORE, 0, 3, 0, IGNORE]),
        (["[CLS]", "[UNK]", "[SEP]"], [IGNORE, 1, IGNORE]),
    ]
    assert encoded.stats.empty_words == encoded.stats.unknown_words == 2


def test_stats_of_two_texts_add_up_to_those_of_both() -> None:
    one, other = document((["a", ""], ["O", "O"])), document((["bbbbbbbbbbbb"] * 3, ["O"] * 3))
    both, first, second = (
        encode(text, CASED, CONTRACT, Windowing(8, 2)).stats for text in ([one, other], [one], [other])
    )
    assert both == first + second
    assert (both.sentences, both.words, both.truncated_words, both.empty_words) == (2, 5, 3, 1)


def test_a_word_longer_than_the_window_is_truncated_and_counted() -> None:
    text = document((["a", "bbbbbbbbbbbb", "to"], ["O", "B-PER", "O"]))
    encoded = encode([text], CASED, CONTRACT, Windowing(8, 2))
    assert encoded.stats.truncated_words == 1
    assert windows(encoded) == [
        (["[CLS]", "a", "[SEP]"], [IGNORE, 0, IGNORE]),
        (["[CLS]", "b", *["##b"] * 5, "[SEP]"], [IGNORE, 1, *[IGNORE] * 6]),
        (["[CLS]", "to", "[SEP]"], [IGNORE, 0, IGNORE]),
    ]


def test_a_long_sentence_is_cut_and_each_word_labelled_where_it_has_most_context() -> None:
    # Room for 6 words, 2 shared: windows show words 0-5 and 4-9. Word 4 has 1 word to the right in the first
    # window and 0 to the left in the second; word 5 the other way round.
    text = document((["a"] * 10, ["O", "O", "O", "B-PER", "I-PER", "I-PER", "O", "O", "O", "O"]))
    encoded = encode([text], CASED, CONTRACT, Windowing(8, 2))
    assert [labels for _, labels in windows(encoded)] == [
        [IGNORE, 0, 0, 0, 1, 2, IGNORE, IGNORE],
        [IGNORE, IGNORE, 2, 0, 0, 0, 0, IGNORE],
    ]
    assert encoded.stats.cut_sentences == 1
    assert encoded.first_windows.tolist() == [True, False]


@settings(max_examples=150)
@given(
    st.lists(st.lists(st.sampled_from(["a", "bb", "bbbb", "Anna", "\u200b", "bbbbbbbbbbbbbbbbb"])), max_size=4),
    st.integers(3, 14),
    st.integers(0, 12),
    st.integers(0, 12),
)
def test_every_word_is_labelled_exactly_once_in_text_order(
    texts: list[list[str]], room: int, overlap: int, context: int
) -> None:
    tags = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    sentences = [(words, [tags[(i + len(words)) % 5] for i in range(len(words))]) for words in texts]
    encoded = encode([document(*sentences)], CASED, CONTRACT, Windowing(room, overlap, context))
    gold = [tags.index(tag) for _, sentence_tags in sentences for tag in sentence_tags]
    assert encoded.labels[encoded.labels != IGNORE].tolist() == gold
    assert encoded.num_words == len(gold) == encoded.word_starts[-1]
    assert all(2 < length <= room for length in encoded.lengths)
    owned = [
        int((encoded.labels[b:e] != IGNORE).sum()) for b, e in zip(encoded.starts, encoded.starts[1:], strict=False)
    ]
    assert owned == np.diff(encoded.word_starts).tolist()
    assert all(count > 0 for count in owned)
    assert encoded.first_windows.sum() == sum(bool(words) for words in texts)


def test_a_window_shows_words_around_its_sentence_but_of_no_other_document() -> None:
    texts = [document((["a", "to", "bb"], ["O"] * 3), (["Anna"], ["B-PER"]), (["to", "a", "a"], ["O"] * 3))]
    texts.append(document((["bb"], ["O"])))
    encoded = encode(texts, CASED, CONTRACT, Windowing(16, 2, 2))
    shown = [tokens[1:-1] for tokens, _ in windows(encoded)]
    first, second = ["a", "to", *CASED.tokenize("bb")], CASED.tokenize("Anna")
    assert shown == [
        [*first, *second, "to"],
        [*first[1:], *second, "to", "a"],
        [*CASED.tokenize("bb"), *second, "to", "a", "a"],
        CASED.tokenize("bb"),
    ]
    assert [[label for label in labels if label != IGNORE] for _, labels in windows(encoded)] == [
        [0] * 3,
        [1],
        [0] * 3,
        [0],
    ]
    assert encoded.word_starts.tolist() == [0, 3, 4, 7, 8]


def test_where_context_does_not_fit_both_sides_get_half_and_what_the_other_leaves() -> None:
    text = document((["a", "to"], ["O"] * 2), (["to"], ["O"]), (["a", "a", "to", "to", "to"], ["O"] * 5))
    encoded = encode([text], CASED, CONTRACT, Windowing(8, 2, 9))
    # Room for six pieces of one word each. The second sentence has five to give away: two before it, as there are no
    # more, and so three after it. The first has four, all after it; the third one, before it.
    assert [tokens[1:-1] for tokens, _ in windows(encoded)] == [
        ["a", "to", "to", "a", "a", "to"],
        ["a", "to", "to", "a", "a", "to"],
        ["to", "a", "a", "to", "to", "to"],
    ]


def test_a_sentence_of_100_000_words_is_cut_into_about_as_many_windows_as_its_length_asks() -> None:
    text = document((["a"] * 100_000, ["O"] * 100_000))
    encoded = encode([text], CASED, CONTRACT, Windowing(128, 16))
    assert encoded.num_words == 100_000
    assert encoded.stats.windows == 909  # the first shows 126 words, each further one 110 more: 1 + ceil(99874 / 110)


def test_neighbouring_windows_share_the_words_asked_for() -> None:
    text = document((["a"] * 40, ["O"] * 40))
    encoded = encode([text], CASED, CONTRACT, Windowing(22, 5))
    assert encoded.lengths.tolist() == [22, 22, 12]  # words 0-19, 15-34, 30-39


def test_documents_without_sentences_or_words_give_no_window() -> None:
    encoded = encode([Document("x", ()), document(([], []))], CASED, CONTRACT, Windowing(16, 2))
    assert (encoded.num_windows, encoded.num_words, encoded.stats.sentences) == (0, 0, 1)


def test_an_encoding_takes_no_more_than_a_few_bytes_a_piece() -> None:
    encoded = encode([document((["a"] * 50, ["O"] * 50))] * 20, CASED, CONTRACT, Windowing(64, 2))
    assert encoded.input_ids.dtype == encoded.labels.dtype == np.int32


def test_a_tag_outside_the_contract_is_refused_with_document_and_types() -> None:
    with pytest.raises(LabelError, match=r"document 'd', sentence 2: tag 'B-ORG' .*PER, LOC"):
        encode([document((["a"], ["O"]), (["a"], ["B-ORG"]))], CASED, CONTRACT, Windowing(16, 2))


def test_a_sentence_with_fewer_tags_than_words_is_refused() -> None:
    with pytest.raises(LabelError, match="2 words but 1 tags"):
        encode([document((["a", "a"], ["O"]))], CASED, CONTRACT, Windowing(16, 2))


def test_a_window_without_room_is_refused() -> None:
    with pytest.raises(InputError, match=r"model\.max_length"):
        encode([document((["a"], ["O"]))], CASED, CONTRACT, Windowing(2, 0))


def test_text_to_predict_on_needs_no_tags() -> None:
    assert unlabelled(["a", "b"]) == Sentence(("a", "b"), ("O", "O"))
