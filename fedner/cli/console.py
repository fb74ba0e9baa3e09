"""What a person sees while work goes on: plain lines on stderr, so that stdout stays for results."""

import json
import sys
import time

from rich.console import Console

from fedner.results import RoundResult


def stderr() -> Console:
    """Return the console for progress and notices."""
    return Console(stderr=True, highlight=False)


def stdout() -> Console:
    """Return the console for results."""
    return Console(highlight=False)


BAR_WIDTH = 30


class Lines:
    """Tells progress one line a round: dev F1, loss, seconds, and when the run should be done; a bar within a round."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._started = time.monotonic()

    def message(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, markup=False)

    def run_started(self, title: str) -> None:
        """Print the title and start the clock."""
        self._started = time.monotonic()
        self._console.print(f"[bold]{_plain(title)}[/bold]")

    def advanced(self, done: int, total: int, what: str) -> None:
        """Draw how far the round is on one line that is written over; without a terminal, say nothing."""
        if self._console.is_terminal:
            filled = BAR_WIDTH * done // total
            bar = "━" * filled + " " * (BAR_WIDTH - filled)
            print(
                f"\r  {bar} {done}/{total} {what}", end="" if done < total else "\r\x1b[K", file=sys.stderr, flush=True
            )

    def round_finished(self, entry: RoundResult, rounds: int) -> None:
        """Print what the round brought."""
        elapsed = time.monotonic() - self._started
        left = elapsed / entry.round * (rounds - entry.round)
        f1 = f"dev F1 {entry.dev.micro.f1:.4f}" if entry.dev else "dev F1 not told"
        loss = f"loss {entry.train_loss:.4f}" if entry.train_loss is not None else ""
        took = f"{entry.seconds:.1f} s, {left:.0f} s left" if entry.round < rounds else f"{entry.seconds:.1f} s"
        sites = f"{len(entry.sites)} sites" if entry.sites else ""
        parts = [f"  round {entry.round}/{rounds}", f1, loss, sites, took]
        self._console.print("  ".join(part for part in parts if part), markup=False)
        for site, reason in entry.refused.items():
            self._console.print(f"    refused {site}: {reason}", markup=False)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def tell_notices(notices: list[str]) -> None:
    """Print what must be told about text and models, once a command."""
    for notice in notices:
        print(f"note: {notice}", file=sys.stderr)


def print_json(content: object) -> None:
    """Print one line of JSON on stdout."""
    print(json.dumps(content, ensure_ascii=False))
