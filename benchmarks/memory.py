"""Peak memory and time of aggregating N updates of a BERT-base (109 M float32): fedner, flwr's FedAvg, robust rules.

    python benchmarks/memory.py --json benchmarks/results/memory.json

Every leg is a process of its own; its peak is the VmHWM that Linux keeps for it, less what it held before the first
update was made. Updates are made one at a time, when they are asked for, as they arrive from sites: fedner checks,
folds and lets go of each, flwr's FedAvg is handed the list of all replies, as its own loop does it. Making them is not
timed. Legs of flwr that would take more than `--flwr-bytes` are left out and said to be. The robust rules run on a
smaller state, in memory and on disk (`federation.spill_bytes=0`), and have to give the same digest.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg

from fedner.config import AggregationConfig, FedAvgAggregation, KrumAggregation, MedianAggregation
from fedner.flower.identity import identify_server
from fedner.protocol.arrays import from_record
from fedner.server.aggregation import Spill, Update, init, step
from fedner.tensors import State, digest, num_bytes

RULES: dict[str, AggregationConfig] = {
    "fedavg": FedAvgAggregation(),
    "median": MedianAggregation(),
    "krum": KrumAggregation(malicious=1),
}


def bert_shapes(vocabulary: int, width: int, layers: int) -> dict[str, tuple[int, ...]]:
    """Return shapes like those of a BERT tagger; 30,522 words, 768 wide, 12 layers make 109 M parameters."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.words": (vocabulary, width),
        "embeddings.positions": (512, width),
        "classifier.weight": (9, width),
    }
    for layer in range(layers):
        shapes |= {f"layer.{layer}.{name}": (width, width) for name in ("query", "key", "value", "output")}
        shapes |= {f"layer.{layer}.up": (4 * width, width), f"layer.{layer}.down": (width, 4 * width)}
        shapes |= {f"layer.{layer}.rest": (13, width)}
    return shapes


class Sites:
    """Replies as Flower hands them over, made when asked for; `seconds` is how long making them took."""

    def __init__(self, shapes: dict[str, tuple[int, ...]], number: int) -> None:
        rng = np.random.default_rng(0)
        self.before: State = {name: rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
        self.number = number
        self.seconds = 0.0

    def replies(self) -> Iterator[RecordDict]:
        for site in range(self.number):
            start = time.perf_counter()
            # A few steps along one coordinate pattern per site: cheap to make, and no two sites alike.
            step_size = np.float32(1e-3 * (1 + (site * 37) % 101))
            arrays = {name: Array(array + step_size * np.roll(array, site + 1)) for name, array in self.before.items()}
            reply = RecordDict(
                {"arrays": ArrayRecord(arrays), "metrics": MetricRecord({"num-examples": 200 + 7 * site})}
            )
            del arrays
            self.seconds += time.perf_counter() - start
            yield reply
            del reply

    def updates(self) -> Iterator[Update]:
        for site, reply in enumerate(self.replies()):
            update = Update(f"site-{site:03d}", from_record(arrays_of(reply)), float(200 + 7 * site))
            del reply
            yield update
            del update


def arrays_of(reply: RecordDict) -> ArrayRecord:
    # As fedner.protocol.wire does it; `array_records` would keep the reply alive until the collector runs.
    record = reply["arrays"]
    assert isinstance(record, ArrayRecord)
    return record


def by_fedner(sites: Sites, rule: str, on_disk: bool) -> State:
    config = RULES[rule]
    with tempfile.TemporaryDirectory() as folder:
        spill = Spill(Path(folder) / "replies", 0) if on_disk else None
        return step(config, init(config, sites.before), sites.before, sites.updates(), spill=spill)[1]


def by_flwr(sites: Sites) -> State:
    identify_server()
    strategy = FedAvg(weighted_by_key="num-examples")
    asked = [Message(RecordDict(), site + 2, "train", group_id="1") for site in range(sites.number)]
    messages: list[Message] = []
    for request, reply in zip(asked, sites.replies(), strict=True):
        messages.append(Message(reply, reply_to=request))
        del reply
    record, _ = strategy.aggregate_train(1, messages)
    assert record is not None
    return {name: array.numpy() for name, array in record.items()}


def memory_bytes(field: str) -> int:
    """Return a field of /proc/self/status, such as VmHWM, the most that this process ever held."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def leg(by: str, rule: str, number: int, size: tuple[int, int, int]) -> dict[str, object]:
    sites = Sites(bert_shapes(*size), number)
    held = memory_bytes("VmRSS")
    start = time.perf_counter()
    after = by_flwr(sites) if by == "flwr" else by_fedner(sites, rule, on_disk=by == "fedner, on disk")
    seconds = time.perf_counter() - start - sites.seconds
    peak = memory_bytes("VmHWM")
    return {
        "by": by,
        "rule": rule,
        "sites": number,
        "update_bytes": num_bytes(sites.before),
        "peak_bytes": peak,
        "added_bytes": peak - held,
        "seconds": round(seconds, 2),
        "digest": digest(after)[:16],
    }


def in_a_process(by: str, rule: str, number: int, size: tuple[int, int, int]) -> dict[str, object]:
    given = json.dumps([by, rule, number, size])
    done = subprocess.run([sys.executable, __file__, "--leg", given], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{given}: ended with {done.returncode}\n{done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(found), file=sys.stderr)
    return found


def measure(options: argparse.Namespace) -> dict[str, object]:
    large = (options.vocabulary, options.width, options.layers)
    small = (options.vocabulary // 4, options.width // 2, options.layers // 2)
    legs: list[dict[str, object]] = []
    left_out: list[str] = []
    for number in options.sites:
        mean = in_a_process("fedner", "fedavg", number, large)
        legs.append(mean)
        wanted = (number + 2) * int(str(mean["update_bytes"]))
        if wanted > options.flwr_bytes:
            left_out.append(f"flwr at {number} sites: the replies alone take {wanted / 1e9:.0f} GB")
        else:
            legs.append(in_a_process("flwr", "fedavg", number, large))
    for rule in ("median", "krum"):
        for number in options.robust_sites:
            legs += [in_a_process(by, rule, number, small) for by in ("fedner", "fedner, on disk")]
            assert legs[-1]["digest"] == legs[-2]["digest"], "on disk and in memory differ"
    machine = {"processor": platform.machine(), "python": platform.python_version(), "numpy": np.__version__}
    return {"machine": machine, "legs": legs, "left_out": left_out, "disturbed": options.disturbed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, nargs="+", default=[2, 8, 32, 64])
    parser.add_argument("--robust-sites", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--vocabulary", type=int, default=30_522)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--flwr-bytes", type=float, default=8e9, help="leave out legs of flwr that need more")
    parser.add_argument("--disturbed", action="store_true", help="note that the machine had other work to do")
    parser.add_argument("--json", type=Path, help="write the result here as well")
    parser.add_argument("--leg", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.leg:
        by, rule, number, size = json.loads(options.leg)
        print(json.dumps(leg(by, rule, number, tuple(size))))
        return
    text = json.dumps(measure(options), indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
