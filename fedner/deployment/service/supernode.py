"""Flower's SuperNode as a process that ends when its connection has.

    python -P -m fedner.deployment.service.supernode ARGUMENTS

Where a link breaks off in the middle of a TLS handshake, Flower gives the connection up for good; its process stays all
the same, since the thread that serves its runtime API does, and nobody would notice that the site is gone. Here the
process ends, and whoever supervises it starts the next one.
"""

import os
import traceback

from flwr.supernode.cli import flower_supernode

from fedner.deployment.service.event_lines import tell
from fedner.flower.polling import look_again_soon


def main() -> None:
    """Run Flower's SuperNode with this process's arguments until its connection has ended; SystemExit passes."""
    look_again_soon()
    try:
        flower_supernode()
    except Exception:
        traceback.print_exc()
    tell("link-lost")
    os._exit(1)  # the runtime API's thread would keep the process


if __name__ == "__main__":
    main()
