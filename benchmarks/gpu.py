"""Local training on a GPU against Hugging Face `Trainer`: tokens a second, share of the device's peak, peak memory.

    python benchmarks/gpu.py --output benchmarks/results/gpu.json     # a CUDA device
    python benchmarks/gpu.py --device cpu --size tiny --windows 8 --lengths 32 --precisions bf16 --repeats 1

The second is a dry run. A random encoder of the size of BERT-base (12 layers, 768 wide, 30,522 pieces; no download)
trains for one pass over sentences of random words, an eighth of the window to all of it long. Both sides train on the
same windows in batches of the same size, Trainer with length grouping; the sides alternate, and medians of the repeats
are given.

tokens/s counts word pieces, special tokens included, padding not. The work of a token is counted as 6 operations for
each weight of the encoder and the head (not of the embeddings) and 12 x layers x width x L for attention, where L is
the length of its window (Chowdhery et al. 2022, appendix B). The share is that of the rate of a square matrix product
in the same precision, measured in the same process; so what the device is sold as does not enter.
"""

import argparse
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from trainer import rows
from transformers import (
    BertConfig,
    BertForTokenClassification,
    DataCollatorForTokenClassification,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

from fedner.config import Precision, TrainingConfig, Windowing
from fedner.data.corpus import Document, Sentence
from fedner.data.encoding import Encoded
from fedner.data.labels import EntityType, LabelContract
from fedner.files import write_json
from fedner.learning.tagger.model import Tagger
from fedner.learning.training.fitting import fit
from fedner.learning.training.schedule import in_round

SIZES = {
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "tiny": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64},
}
VOCABULARY = 30_522
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
CONTRACT = LabelContract("benchmark", 1, (EntityType("PER", "people"), EntityType("LOC", "places")))
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
WARM_UP_WINDOWS = 64


@dataclass(frozen=True)
class Leg:
    """What is measured at one window length and precision."""

    length: int
    precision: str
    batch_size: int


def main() -> None:
    options = parse()
    warnings.simplefilter("ignore")  # Trainer's remarks about what a machine has not
    results = [measured(Leg(length, precision, batch_size(length, options)), options)
               for length in options.lengths for precision in options.precisions]  # fmt: skip
    print_table(results)
    if options.output:
        Path(options.output).parent.mkdir(parents=True, exist_ok=True)
        write_json(Path(options.output), {"setting": vars(options), "machine": machine(options), "legs": results})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--lengths", type=int, nargs="+", default=[128, 512], help="word pieces in a window")
    parser.add_argument("--precisions", choices=DTYPES, nargs="+", default=["bf16", "fp16"])
    parser.add_argument("--windows", type=int, default=4096, help="windows at length 128; fewer of longer ones")
    parser.add_argument("--batch-size", type=int, default=64, help="at length 128; smaller for longer windows")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", help="JSON file, such as benchmarks/results/gpu.json")
    return parser.parse_args()


def batch_size(length: int, options: argparse.Namespace) -> int:
    return max(1, options.batch_size * 128 // max(length, 128))


def measured(leg: Leg, options: argparse.Namespace) -> dict[str, Any]:
    """Return what both sides do of one leg, as medians over the repeats."""
    tokenizer = word_tokenizer()
    encoded = random_text(tokenizer, leg.length, max(1, options.windows * 128 // max(leg.length, 128)))
    few = random_text(tokenizer, leg.length, min(WARM_UP_WINDOWS, options.windows))
    sides: dict[str, Callable[..., None]] = {"ours": ours, "trainer": trainer}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    memory: dict[str, int] = dict.fromkeys(sides, 0)
    for repeat in range(options.repeats):
        for name in sides if repeat % 2 == 0 else reversed(sides):
            tagger = random_tagger(tokenizer, leg, options)
            sides[name](tagger, few, leg, options)
            taken, peak = timed(lambda: sides[name](tagger, encoded, leg, options), options.device)  # noqa: B023
            seconds[name].append(taken)
            memory[name] = max(memory[name], peak)
    speed = {name: len(encoded.input_ids) / statistics.median(taken) for name, taken in seconds.items()}
    peak_rate = product_rate(leg.precision, options)
    work = operations(encoded, random_tagger(tokenizer, leg, options).model) / len(encoded.input_ids)
    return {
        "length": leg.length,
        "precision": leg.precision,
        "batch_size": leg.batch_size,
        "tokens": len(encoded.input_ids),
        "tokens_per_second": speed,
        "ratio": statistics.median(b / a for a, b in zip(seconds["ours"], seconds["trainer"], strict=True)),
        "operations_per_token": work,
        "product_operations_per_second": peak_rate,
        "share_of_product": {name: work * rate / peak_rate for name, rate in speed.items()},
        "peak_memory_bytes": memory,
        "seconds": seconds,
    }


def timed(work: Callable[[], object], device: str) -> tuple[float, int]:
    """Return the seconds that some work takes, and the most memory that tensors took on a CUDA device meanwhile."""
    cuda = device.startswith("cuda")
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    work()
    if cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started, torch.cuda.max_memory_allocated() if cuda else 0


def ours(tagger: Tagger, encoded: Encoded, leg: Leg, options: argparse.Namespace) -> None:
    config = TrainingConfig(batch_size=leg.batch_size, device=options.device, precision=Precision(leg.precision))
    fit(tagger, encoded, in_round(config, seed=0, site="benchmark", number=1, rounds=1))


def trainer(tagger: Tagger, encoded: Encoded, leg: Leg, options: argparse.Namespace) -> None:
    half = {leg.precision: True} if leg.precision != "fp32" else {}
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            use_cpu=options.device == "cpu",
            per_device_train_batch_size=leg.batch_size,
            num_train_epochs=1,
            learning_rate=1e-4,
            weight_decay=0.01,
            warmup_steps=0.1,
            train_sampling_strategy="group_by_length",
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            logging_strategy="no",
            **half,
        )
        collator = DataCollatorForTokenClassification(tagger.tokenizer)
        Trainer(model=tagger.model, args=arguments, train_dataset=rows(encoded), data_collator=collator).train()


def word_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer with as many pieces as BERT's, each a word of its own."""
    words = [*SPECIAL, *(f"w{number}" for number in range(VOCABULARY - len(SPECIAL)))]
    backend = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = WhitespaceSplit()
    backend.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=512, **names)


def random_tagger(tokenizer: PreTrainedTokenizerFast, leg: Leg, options: argparse.Namespace) -> Tagger:
    torch.manual_seed(0)
    labels = dict(enumerate(CONTRACT.tags))
    config = BertConfig(vocab_size=VOCABULARY, id2label=labels, pad_token_id=0, **SIZES[options.size])
    return Tagger(BertForTokenClassification(config), tokenizer, CONTRACT, Windowing(max_length=leg.length))


def random_text(tokenizer: PreTrainedTokenizerFast, length: int, windows: int) -> Encoded:
    """Return one sentence a window, an eighth of the window to all of it long, of words and tags drawn at random."""
    rng = np.random.default_rng(0)
    documents = []
    for number in range(windows):
        size = int(rng.integers(max(1, length // 8), length - 1))
        words = tuple(f"w{word}" for word in rng.integers(VOCABULARY - len(SPECIAL), size=size))
        tags = tuple("B-PER" if one else "O" for one in rng.random(size) < 0.1)
        documents.append(Document(f"d{number}", (Sentence(words, tags),)))
    blank = Tagger(None, tokenizer, CONTRACT, Windowing(max_length=length))  # pyright: ignore[reportArgumentType]
    return blank.encode(documents)


def operations(encoded: Encoded, model: BertForTokenClassification) -> float:
    """Return the operations of one pass, forward and backward, over real tokens only."""
    weights = sum(p.numel() for name, p in model.named_parameters() if "embeddings" not in name)
    lengths = np.asarray(encoded.lengths, dtype=np.float64)
    attention = 12 * model.config.num_hidden_layers * model.config.hidden_size * float((lengths**2).sum())
    return 6 * weights * float(lengths.sum()) + attention


def product_rate(precision: str, options: argparse.Namespace) -> float:
    """Return the operations a second of a square matrix product, the fastest of ten."""
    size = 8192 if options.device.startswith("cuda") else 256
    left, right = (torch.randn(size, size, device=options.device, dtype=DTYPES[precision]) for _ in range(2))
    timed(lambda: torch.mm(left, right), options.device)
    return 2 * size**3 / min(timed(lambda: torch.mm(left, right), options.device)[0] for _ in range(10))


def machine(options: argparse.Namespace) -> dict[str, str]:
    cuda = options.device.startswith("cuda")
    return {
        "device": torch.cuda.get_device_name(options.device) if cuda else platform.processor(),
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda),
        "python": platform.python_version(),
    }


def print_table(results: list[dict[str, Any]]) -> None:
    print("| length | precision | side | tokens/s | over Trainer | share of a matrix product | peak memory |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for leg in results:
        for side, speed in leg["tokens_per_second"].items():
            ratio = f"{leg['ratio']:.2f}" if side == "ours" else ""
            share, memory = leg["share_of_product"][side], leg["peak_memory_bytes"][side]
            cells = [
                leg["length"],
                leg["precision"],
                side,
                f"{speed:,.0f}",
                ratio,
                f"{share:.1%}",
                f"{memory / 1e9:.2f} GB",
            ]
            print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
