"""Local training against Hugging Face `Trainer`: real (non-padding) word pieces a second, same text, model and threads.

    python benchmarks/trainer.py                     # CoNLL-2003 train, 2,000 sentences, MiniLM, 5 rounds of legs
    python benchmarks/trainer.py --model tiny-random --data synthetic --rounds 1      # smoke run

Each leg is a process of its own, and the legs alternate, so that a machine that slows down slows all of them. A leg
warms up on a few batches, then passes once over the same windows; ours is timed around the whole of `fit`, Trainer from
its on_train_begin to its on_train_end. Legs:

    ours           fedner.learning.training.fitting.fit at its defaults (bf16 where the CPU computes it)
    ours-fp32      the same in float32
    trainer        Trainer at its defaults: float32, random order, padding to the longest of a batch
    trainer-tuned  Trainer with bf16=True and train_sampling_strategy="group_by_length"
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

LEGS = ("ours", "ours-fp32", "trainer", "trainer-tuned")
RATIOS = (("ours", "trainer"), ("ours-fp32", "trainer"), ("ours", "trainer-tuned"))
WARM_UP_WINDOWS = 160


def main() -> None:
    options = parse()
    if options.leg:
        print(json.dumps(run_leg(options)))
        return
    runs: dict[str, list[dict[str, Any]]] = {leg: [] for leg in options.legs}
    for number in range(options.rounds):
        for leg in options.legs if number % 2 == 0 else reversed(options.legs):
            runs[leg].append(start_leg(leg, options))
            print(f"round {number + 1}  {leg:<14}{runs[leg][-1]['tokens_per_second']:>9.0f} tokens/s", file=sys.stderr)
    result = summarise(runs, options)
    print_table(result)
    if options.output:
        Path(options.output).parent.mkdir(parents=True, exist_ok=True)
        Path(options.output).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="minilm", help="model.name as in fedner's configuration")
    parser.add_argument("--data", choices=("conll2003", "synthetic"), default="conll2003")
    parser.add_argument("--sentences", type=int, default=2000, help="training sentences, in whole documents")
    parser.add_argument("--rounds", type=int, default=5, help="times each leg runs")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--legs", nargs="+", choices=LEGS, default=list(LEGS))
    parser.add_argument("--output", default=None, help="JSON file, such as benchmarks/results/trainer.json")
    parser.add_argument("--leg", choices=LEGS, help=argparse.SUPPRESS)
    return parser.parse_args()


def start_leg(leg: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one leg in a process of its own and return what it measured."""
    names = ("model", "data", "sentences", "batch_size", "threads")
    arguments = [part for name in names for part in (f"--{name.replace('_', '-')}", str(getattr(options, name)))]
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads), "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        [sys.executable, __file__, "--leg", leg, *arguments], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        raise SystemExit(f"leg {leg} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_leg(options: argparse.Namespace) -> dict[str, Any]:
    """Measure one leg in this process."""
    import torch

    from fedner.config import ModelConfig
    from fedner.learning.tagger.model import build_tagger

    warnings.simplefilter("ignore")  # Trainer's remarks about pinned memory on a machine without a GPU
    torch.set_num_threads(options.threads)
    documents, contract = load_text(options)
    tagger = build_tagger(ModelConfig(name=options.model), contract, seed=0)
    encoded = tagger.encode(documents)
    few = tagger.encode(documents[: _documents_for(documents, WARM_UP_WINDOWS)])
    leg = ours if options.leg.startswith("ours") else trainer
    leg(tagger, few, options)
    cpu = time.process_time()
    seconds, loss = leg(tagger, encoded, options)
    return {
        "tokens_per_second": len(encoded.input_ids) / seconds,
        "seconds": seconds,
        "tokens": len(encoded.input_ids),
        "windows": encoded.num_windows,
        "cores_used": (time.process_time() - cpu) / seconds,
        "threads": torch.get_num_threads(),
        "mean_loss": loss,
    }


def load_text(options: argparse.Namespace) -> tuple[list[Any], Any]:
    """Return training documents up to the number of sentences, and their contract."""
    from fedner.config import Conll2003Data, ContractConfig, SyntheticData
    from fedner.data.loading import load_corpus

    if options.data == "conll2003":
        types = dict.fromkeys(("PER", "ORG", "LOC", "MISC"), "")
        corpus = load_corpus(Conll2003Data(contract=ContractConfig(name="conll2003", types=types)))
    else:
        types = dict.fromkeys(("PATIENT", "DRUG", "DOSE", "DATE", "HOSPITAL"), "")
        corpus = load_corpus(SyntheticData(contract=ContractConfig(name="synthetic", types=types)))
    documents = list(corpus.train)
    return documents[: _documents_for(documents, options.sentences)], corpus.contract


def _documents_for(documents: list[Any], sentences: int) -> int:
    """Return how many documents from the first hold at least this many sentences."""
    total = 0
    for number, document in enumerate(documents, start=1):
        total += len(document.sentences)
        if total >= sentences:
            return number
    return len(documents)


def ours(tagger: Any, encoded: Any, options: argparse.Namespace) -> tuple[float, float]:
    """Return seconds and mean loss of one pass by `fit`."""
    from fedner.config import Precision, TrainingConfig
    from fedner.learning.training.fitting import fit
    from fedner.learning.training.schedule import in_round

    precision = Precision.fp32 if options.leg == "ours-fp32" else Precision.auto
    config = TrainingConfig(batch_size=options.batch_size, device="cpu", threads=options.threads, precision=precision)
    started = time.perf_counter()
    result = fit(tagger, encoded, in_round(config, seed=0, site="benchmark", number=1, rounds=1))
    return time.perf_counter() - started, result.loss_sum / result.num_words


def trainer(tagger: Any, encoded: Any, options: argparse.Namespace) -> tuple[float, float]:
    """Return seconds and mean loss of one pass by `transformers.Trainer`."""
    import torch
    from transformers import DataCollatorForTokenClassification, Trainer, TrainerCallback, TrainingArguments

    class Clock(TrainerCallback):
        started = 0.0
        seconds = 0.0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            assert torch.get_num_threads() == options.threads
            self.started = time.perf_counter()

        def on_train_end(self, *_: Any, **__: Any) -> None:
            self.seconds = time.perf_counter() - self.started

    tuned = {"bf16": True, "train_sampling_strategy": "group_by_length"} if options.leg == "trainer-tuned" else {}
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            use_cpu=True,
            per_device_train_batch_size=options.batch_size,
            num_train_epochs=1,
            learning_rate=1e-4,
            weight_decay=0.01,
            warmup_steps=0.1,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            logging_strategy="no",
            **tuned,
        )
        done = Trainer(
            model=tagger.model,
            args=arguments,
            train_dataset=rows(encoded),
            data_collator=DataCollatorForTokenClassification(tagger.tokenizer),
            callbacks=[clock],
        ).train()
    return clock.seconds, done.training_loss


def rows(encoded: Any) -> Any:
    """Return the windows as Trainer takes them."""
    cut: Callable[[Any, int], list[int]] = lambda flat, w: flat[encoded.starts[w] : encoded.starts[w + 1]].tolist()  # noqa: E731
    return [
        {
            "input_ids": cut(encoded.input_ids, window),
            "attention_mask": [1] * int(encoded.lengths[window]),
            "labels": cut(encoded.labels, window),
        }
        for window in range(encoded.num_windows)
    ]


def summarise(runs: dict[str, list[dict[str, Any]]], options: argparse.Namespace) -> dict[str, Any]:
    """Return medians per leg and the median of the ratios within a round."""
    import torch
    import transformers

    speed = {leg: [run["tokens_per_second"] for run in entries] for leg, entries in runs.items()}
    ratios = {
        f"{a} / {b}": {
            "median": statistics.median(x / y for x, y in zip(speed[a], speed[b], strict=True)),
            "low": min(x / y for x, y in zip(speed[a], speed[b], strict=True)),
            "high": max(x / y for x, y in zip(speed[a], speed[b], strict=True)),
        }
        for a, b in RATIOS
        if a in speed and b in speed
    }
    return {
        "what": "real word pieces a second in local training, padding not counted",
        "setting": {name: getattr(options, name) for name in ("model", "data", "sentences", "batch_size", "threads")},
        "machine": {
            "cpu": cpu_name(),
            "system": " ".join([platform.system(), platform.machine(), *platform.libc_ver()]),
            "python": platform.python_version(),
        },
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "median_tokens_per_second": {leg: statistics.median(values) for leg, values in speed.items()},
        "ratios": ratios,
        "runs": runs,
    }


def cpu_name() -> str:
    """Return the processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} x {len(names)}" if names else platform.processor()


def print_table(result: dict[str, Any]) -> None:
    print(f"{'leg':<16}{'tokens/s':>10}{'cores used':>12}{'mean loss':>11}")
    for leg, speed in result["median_tokens_per_second"].items():
        entries = result["runs"][leg]
        cores = statistics.median(run["cores_used"] for run in entries)
        print(f"{leg:<16}{speed:>10.0f}{cores:>12.2f}{entries[0]['mean_loss']:>11.3f}")
    for name, ratio in result["ratios"].items():
        print(f"{name:<26}{ratio['median']:.2f}  ({ratio['low']:.2f} to {ratio['high']:.2f})")


if __name__ == "__main__":
    main()
