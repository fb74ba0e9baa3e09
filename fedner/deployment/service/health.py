"""Whether the server or site that works in a state folder answers, for containers.

    python -m fedner.deployment.service.health STATE

Both write down at which port of loopback Flower answers /health; a site's is a free one, which only it knows.
"""

import sys
from pathlib import Path

from fedner.deployment.service.flower_programs import health_of

_FILE = "health.port"


def note_port(state: Path, port: int) -> None:
    """Record the health port of a server or site in its state folder."""
    (state / _FILE).write_text(f"{port}\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Return 0 if it answers, 1 if not, 2 if no state folder was named."""
    if len(arguments) != 1:
        print("usage: python -m fedner.deployment.service.health STATE", file=sys.stderr)
        return 2
    noted = Path(arguments[0]) / _FILE
    try:
        port = int(noted.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        print(f"{noted}: expected the port of a server or site, got none; it has not started yet")
        return 1
    if health_of(port)():
        return 0
    print(f"nothing answers at 127.0.0.1:{port}")
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
