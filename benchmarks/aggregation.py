"""Time and memory of the weighted mean of N updates the size of the embedded model: fedner, flwr, a plain float64 sum.

    python benchmarks/aggregation.py --sites 10 --repeats 5 --json aggregation.json

All three start from what Flower hands over (ArrayRecords, whose arrays are decoded on access) and run by turns on the
same updates in the same process. flwr's `aggregate_arrayrecords` wants all records at once, sums in float32 and depends
on their order; the plain sum is the usual loop in float64, which also depends on order; fedner's is exact. Seconds are
for all N updates, decoding included, making the synthetic updates not. Peak bytes are those of another pass in which
updates are made only when asked for, as they arrive from sites; fedner and the plain sum let go of each one.
"""

import argparse
import json
import platform
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
from flwr.serverapp.strategy.strategy_utils import aggregate_arrayrecords

from fedner.server.aggregation import MeanAccumulator, Update
from fedner.tensors import State, digest, num_bytes

Mean = Callable[[State, Iterable[RecordDict]], State]
HIDDEN, INNER = 384, 1536


def model_shapes(vocabulary: int, layers: int) -> dict[str, tuple[int, ...]]:
    """Return shapes like those of a BERT tagger 384 wide; 30,522 words and 6 layers make 22.6 M parameters."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.words": (vocabulary, HIDDEN),
        "embeddings.positions": (512, HIDDEN),
        "classifier.weight": (9, HIDDEN),
        "classifier.bias": (9,),
    }
    for layer in range(layers):
        for name in ("query", "key", "value", "output"):
            shapes |= {f"layer.{layer}.{name}.weight": (HIDDEN, HIDDEN), f"layer.{layer}.{name}.bias": (HIDDEN,)}
        shapes |= {f"layer.{layer}.up.weight": (INNER, HIDDEN), f"layer.{layer}.up.bias": (INNER,)}
        shapes |= {f"layer.{layer}.down.weight": (HIDDEN, INNER), f"layer.{layer}.down.bias": (HIDDEN,)}
        shapes |= {f"layer.{layer}.norms": (4, HIDDEN)}
    return shapes


def make_update(base: State, site: int) -> RecordDict:
    """Return a reply as a site would send it: the common start plus its own small steps, weighed by examples."""
    rng = np.random.default_rng(site)
    arrays = {
        name: Array(array + np.float32(1e-3) * rng.standard_normal(array.shape, dtype=np.float32))
        for name, array in base.items()
    }
    weight = int(rng.integers(200, 2000))
    return RecordDict({"arrays": ArrayRecord(arrays), "metrics": MetricRecord({"num-examples": weight})})


def decode(record: RecordDict) -> tuple[State, float]:
    arrays = {name: array.numpy() for name, array in record.array_records["arrays"].items()}
    return arrays, float(record.metric_records["metrics"]["num-examples"])  # type: ignore[arg-type]


def fedner_mean(base: State, records: Iterable[RecordDict]) -> State:
    accumulator = MeanAccumulator(base)
    for number, record in enumerate(records):
        arrays, weight = decode(record)
        accumulator.add(Update(f"site-{number}", arrays, weight))
        del record, arrays  # before the next one is made
    return accumulator.mean()


def flwr_mean(base: State, records: Iterable[RecordDict]) -> State:
    del base  # its names and shapes are not checked
    mean = aggregate_arrayrecords(list(records), "num-examples")
    return {name: array.numpy() for name, array in mean.items()}


def plain_mean(base: State, records: Iterable[RecordDict]) -> State:
    sums = {name: np.zeros(array.shape) for name, array in base.items()}
    total = 0.0
    for record in records:
        arrays, weight = decode(record)
        total += weight
        for name, array in arrays.items():
            sums[name] += array * np.float64(weight)
        del record, arrays  # before the next one is made
    return {name: (array / total).astype(np.float32) for name, array in sums.items()}


MEANS: dict[str, Mean] = {"fedner": fedner_mean, "flwr": flwr_mean, "plain_float64": plain_mean}


def time_by_turns(base: State, records: list[RecordDict], repeats: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in MEANS}
    for turn in range(repeats):
        names = list(MEANS)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            MEANS[name](base, records)
            seconds[name].append(time.perf_counter() - start)
    return seconds


def peak_bytes(mean: Mean, base: State, sites: int) -> int:
    def arriving() -> Iterator[RecordDict]:
        for site in range(sites):
            yield make_update(base, site)

    tracemalloc.start()
    mean(base, arriving())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def same_in_any_order(mean: Mean, base: State, records: list[RecordDict]) -> bool:
    return digest(mean(base, records)) == digest(mean(base, records[::-1]))


def measure(sites: int, repeats: int, vocabulary: int, layers: int) -> dict[str, object]:
    rng = np.random.default_rng(0)
    base: State = {
        name: np.float32(0.04) * rng.standard_normal(shape, dtype=np.float32)
        for name, shape in model_shapes(vocabulary, layers).items()
    }
    records = [make_update(base, site) for site in range(sites)]
    seconds = time_by_turns(base, records, repeats)
    in_any_order = {name: same_in_any_order(mean, base, records) for name, mean in MEANS.items()}
    records.clear()
    return {
        "parameters": sum(array.size for array in base.values()),
        "update_bytes": num_bytes(base),
        "sites": sites,
        "repeats": repeats,
        "machine": {"processor": platform.machine(), "python": platform.python_version(), "numpy": np.__version__},
        "means": {
            name: {
                "seconds_median": statistics.median(seconds[name]),
                "seconds": seconds[name],
                "peak_bytes": peak_bytes(mean, base, sites),
                "same_bits_in_reverse_order": in_any_order[name],
            }
            for name, mean in MEANS.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--vocabulary", type=int, default=30_522)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--json", type=Path, help="write the result here as well")
    options = parser.parse_args()
    text = json.dumps(measure(options.sites, options.repeats, options.vocabulary, options.layers), indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
