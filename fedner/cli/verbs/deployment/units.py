"""`fedner units`: systemd units for a server or a site."""

import sys
from argparse import Namespace
from pathlib import Path

from fedner.cli.arguments.parties import LISTENING
from fedner.deployment.provisioning.kit import read_kit
from fedner.deployment.service.systemd import unit_for


def units(options: Namespace) -> None:
    """`fedner units`."""
    program = options.program or Path(sys.executable).parent / "fedner"
    site = options.site.resolve() if options.site else None
    unit = unit_for(read_kit(options.kit.resolve()), site, program, options.user, options.gpu, _listening(options))
    if options.output is None:
        print(unit.text, end="")
        return
    (options.output / unit.name).write_text(unit.text, encoding="utf-8")
    print(options.output / unit.name)


def _listening(options: Namespace) -> list[str]:
    """Return the options of `fedner server` that differ from its defaults, as they would be written."""
    given = {name: getattr(options, name) for name in LISTENING if getattr(options, name) != LISTENING[name]}
    return [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]
