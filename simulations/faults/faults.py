"""Every fault once, with what should happen and what did: the fault table.

    python simulations/faults/faults.py --output simulations/faults/results.json --table simulations/faults/README.md

`--only WORD…` plays the faults whose names hold one of the words, and leaves the others' rows as they are. Moments are
drawn from `--seed`.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from signal import SIGINT, SIGTERM

import replies
import simulation
import superlink
from report import Found, Row, table
from simulation import EVERY_SITE, Bench

from fedner.files import read_json, write_json
from fedner.records.environment import environment

SAME = "resumed to the same bytes, no whole round lost"
STOPS = f"stops with status 130 and says how to go on; {SAME}"
REFUSED = "refused by name and reason, suspended after three rounds, no trace in the state"
START, END = "<!-- table -->\n", "<!-- end -->\n"


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, what should happen then, and how to make it happen."""

    name: str
    expected: str
    play: Callable[[Bench], Found]


FAULTS = (
    Fault("reply: NaN", REFUSED, replies.refused(lambda: replies.poisoned(float("nan")), "is not finite")),
    Fault("reply: Inf", REFUSED, replies.refused(lambda: replies.poisoned(float("inf")), "is not finite")),
    Fault("reply: a tensor of another shape", REFUSED,
          replies.refused(lambda: replies.with_arrays(replies.misshapen), "expected float32")),
    Fault("reply: tensors of other names", REFUSED,
          replies.refused(lambda: replies.with_arrays(replies.renamed), "missing")),
    Fault("reply: another label contract", REFUSED, replies.refused(lambda: replies.foreign, "label contract")),
    Fault("reply: ten times its examples", REFUSED, replies.refused(lambda: replies.boastful, "sentences of this")),
    Fault("reply: garbage, one of ten sites", REFUSED, replies.refused(replies.garbage, "norm")),
    Fault("reply: refused by the site with the code of a timeout", REFUSED,
          replies.refused(lambda: replies.forged("silent"), "other: ")),
    Fault("reply: refused by the site with the code of a lost node", REFUSED,
          replies.refused(lambda: replies.forged("flower-3"), "other: ")),
    Fault("reply: twice", "counts once, the second is ignored and told", replies.twice),
    Fault("server killed (-9) while it sends", SAME, simulation.server_killed("round started")),
    Fault("server killed (-9) while replies come in", SAME, simulation.server_killed("reply accepted")),
    Fault("server killed (-9) after it aggregated", SAME, simulation.server_killed("round aggregated")),
    Fault("server killed (-9) while it checkpoints", SAME, simulation.server_killed_while_checkpointing),
    Fault("SIGINT", STOPS, simulation.stopped(SIGINT)),
    Fault("SIGTERM", STOPS, simulation.stopped(SIGTERM)),
    Fault("SIGTERM to all its processes", STOPS, simulation.stopped(SIGTERM, whole_group=True)),
    Fault("disk full while it checkpoints", f"stops with status 1 and says how to go on; {SAME}",
          simulation.disk_full),
    Fault("newest checkpoint truncated", "noticed by its digest; the round before is taken, the same bytes",
          simulation.checkpoint_truncated),
    Fault("site's process killed (-9)", "the round goes on without it, the next one with it again",
          simulation.worker_killed()),
    Fault("site's process killed (-9), every site mandatory, retry", "the round is played again: the same bytes",
          simulation.worker_killed(*EVERY_SITE)),
    Fault("site's process hangs, deadline", "the round goes on without it, the next one with it again",
          simulation.worker_hung()),
    Fault("site's process hangs, deadline, every site mandatory, retry", "the round is played again: the same bytes",
          simulation.worker_hung(*EVERY_SITE)),
    Fault("site's process is slow, no deadline", "waited for: the same bytes", simulation.worker_slow),
    Fault("real processes: SuperNode killed (-9) and started again, another hangs, ServerApp killed (-9)",
          "rounds wait for mandatory sites, `resume` goes on: the same bytes as in process",
          superlink.deployment_fault),
)  # fmt: skip


def main() -> int:
    options = parse()
    faults = [fault for fault in FAULTS if not options.only or any(word in fault.name for word in options.only)]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), random.Random(options.seed))
        for fault in faults:
            rows.append(play(fault, bench, options.seed))
            print(table(rows[-1:]).splitlines()[-1], flush=True)
            write(rows, options)
    failed = [row.name for row in rows if not row.found.as_expected]
    print(f"{len(rows) - len(failed)} of {len(rows)} faults end as expected" + "".join(f"; not: {n}" for n in failed))
    return 1 if failed else 0


def play(fault: Fault, bench: Bench, seed: int) -> Row:
    started = time.monotonic()
    try:
        found = fault.play(bench)
    except (AssertionError, OSError, RuntimeError, TimeoutError) as error:
        found = Found(f"{type(error).__name__}: {str(error)[-500:]}", None, "none", False)
    return Row(fault.name, fault.expected, found, seed, round(time.monotonic() - started, 1))


def write(rows: Sequence[Row], options: argparse.Namespace) -> None:
    """Write the rows, in the place of earlier ones of the same faults."""
    if not options.output:
        return
    earlier = read_json(options.output)["rows"] if options.output.exists() else []
    known = {row["name"]: Row(**{**row, "found": Found(**row["found"])}) for row in earlier}
    known |= {row.name: row for row in rows}
    ordered = [known[fault.name] for fault in FAULTS if fault.name in known]
    result = {
        "faults": len(ordered),
        "as_expected": sum(row.found.as_expected for row in ordered),
        "rows": [asdict(row) for row in ordered],
        "environment": environment(1),
    }
    write_json(options.output, result)
    if options.table:
        before, _, rest = options.table.read_text(encoding="utf-8").partition(START)
        after = rest.partition(END)[2]
        missing = [fault.name for fault in FAULTS if fault.name not in known]
        told = table(ordered) + (f"\nNot played yet: {'; '.join(missing)}.\n" if missing else "")
        options.table.write_text(before + START + told + END + after, encoding="utf-8")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--table", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
