"""What the options of all verbs have in common: how they are parsed, refused and explained."""

import argparse

from fedner.errors import ConfigError


class Parser(argparse.ArgumentParser):
    """Usage errors as `ConfigError`, so that every verb ends the same way."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raise the usage error."""
        raise ConfigError(f"{self.prog}: {message}; see `{self.prog} --help`")


def option_parser(verb: str, what: str, example: str) -> Parser:
    """Return a parser for a verb with options."""
    return Parser(
        prog=f"fedner {verb}",
        description=what,
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Add where and with how many threads to compute."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads; all cores unless given")
