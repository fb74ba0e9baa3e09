"""The `tiny-random` encoder: two random BERT layers and a small cased vocabulary of our own, made without any download.

It exists for tests and smoke runs: it learns a little, it is worth nothing.
"""

import string

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_CHARACTERS = string.ascii_letters + string.digits + string.punctuation + "äöüÄÖÜßéèêàçñáíóúøåæ–—’‘“”…°µ€£§±≥≤½"
_WORDS = """
the of and to in a is was for on that by with from at as an were be this which or had has have not are but they
his her their its who after before during he she it we no all one two three first second new last year years day
days week weeks month months since until when where than more most over under per due following given taken
The In On At He She It This A An After Patient Mr Mrs Ms Dr Prof St University Hospital Clinic Institute Centre
Center General Medical Department Street City United States New San Bank Inc Ltd Corp Company Group International
National President Minister said told reported January February March April May June July August September
October November December Monday Tuesday Wednesday Thursday Friday Saturday Sunday
patient patients mg ml mcg g kg daily twice once tablets dose doses treated treatment admitted discharged seen
referred started stopped received prescribed history pain blood pressure therapy drug drugs reviewed
"""
_ENDINGS = """
er ed ing ion tion ation s es ly al ic in an en on or ar us um ol ine ide ate ide one ide ole pril statin mycin
cillin th st nd rd man son ton ham ville burg land berg ski ov ez ia is it re ra ri ro la li lo ma mi ta ti to na
"""


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Return a cased WordPiece tokenizer over characters, some common words and some common endings."""
    pieces = [
        *_SPECIAL,
        *_CHARACTERS,
        *(f"##{c}" for c in _CHARACTERS),
        *_WORDS.split(),
        *(f"##{e}" for e in _ENDINGS.split()),
    ]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    backend = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    backend.normalizer = BertNormalizer(lowercase=False)
    backend.pre_tokenizer = BertPreTokenizer()
    backend.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(piece, vocabulary[piece]) for piece in ("[CLS]", "[SEP]")],
    )
    backend.decoder = WordPieceDecoder(prefix="##")
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), _SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=512, **names)


def tiny_model(vocabulary_size: int, labels: dict[int, str], dropout: float, seed: int) -> BertForTokenClassification:
    """Return two random layers, 64 wide; the same seed gives the same weights, the global generator is untouched."""
    config = BertConfig(
        vocab_size=vocabulary_size,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=512,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        pad_token_id=0,
        id2label=labels,
        label2id={label: index for index, label in labels.items()},
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return BertForTokenClassification(config)
