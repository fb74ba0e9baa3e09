"""The parsers of all verbs: how options are read, refused and explained, and the groups of options that verbs share.

A parser names the function that does a verb's work as "module:function"; the module is imported once the options are
read, so that help, completion and a usage error never wait for torch.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from fedner.cli.keys import group_options
from fedner.config.suggesting import suggestion
from fedner.errors import ConfigError

HELP_FLAGS = ("-h", "--help")


class Parser(argparse.ArgumentParser):
    """The options of a verb, or of one of its actions; a usage error is a `ConfigError`, so every verb ends alike."""

    def __init__(self, verb: str, about: str, example: str, run: str | None = None) -> None:
        """Make a parser.

        Args:
            verb: the words after `fedner`.
            run: "module:function" that does the work, called with the options; None for a verb that only has actions.
        """
        super().__init__(
            prog=f"fedner {verb}",
            usage=None if run else f"fedner {verb} ACTION …",
            description=about,
            epilog=f"example: {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.verb = verb
        self.actions: dict[str, Parser] = {}
        self.takes_overrides = False
        self.set_defaults(run=run)

    def action(self, name: str, about: str, example: str, run: str) -> "Parser":
        """Add an action and return its parser; the verb's help lists it by the first line of `about`."""
        heading = "" if self.actions else "\n\nactions (each has its own --help):"
        self.description = f"{self.description}{heading}\n  {name:<12} {about.partition(chr(10))[0]}"
        self.actions[name] = Parser(f"{self.verb} {name}", about, example, run)
        return self.actions[name]

    def chosen(self, words: Sequence[str]) -> tuple["Parser", list[str]]:
        """Return the parser that reads the words, and those that are left for it.

        Raises:
            ConfigError: the verb has actions only, and the first word is none of them.
        """
        if not self.actions or not words or words[0] in HELP_FLAGS:
            return self, list(words)
        if words[0] in self.actions:
            return self.actions[words[0]], list(words[1:])
        if self.get_default("run") is not None:
            return self, list(words)
        *others, last = self.actions
        names = f"{', '.join(others)} or {last}" if others else last
        raise ConfigError(f"{self.verb}: expected {names}, got '{words[0]}'{suggestion(words[0], self.actions)}")

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Read the words; overrides may lie between options.

        Raises:
            ConfigError: an option is unknown, missing or ill-formed.
        """
        options, rest = self.parse_known_args(words)
        if self.takes_overrides:
            options.overrides = [*options.overrides, *(word for word in rest if not word.startswith("-"))]
            rest = [word for word in rest if word.startswith("-")]
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return options

    def error(self, message: str) -> NoReturn:
        """Raise the usage error."""
        raise ConfigError(f"{self.prog}: {message}; see `{self.prog} --help`")


def add_overrides(parser: Parser, alone: bool = False) -> None:
    """Add overrides and, unless they come alone, the options that choose a configuration; see `composed_words`."""
    parser.takes_overrides = True
    lines = [f"  {group}={{{','.join(options)}}}" for group, options in group_options().items()]
    group = parser.add_argument_group(
        "configuration",
        "GROUP=OPTION chooses a group, GROUP.KEY=VALUE sets any value of it; `fedner config --keys` explains each\n"
        + "\n".join(lines),
    )
    group.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="as above; name=NAME names the run directory")
    if alone:
        return
    group.add_argument("--from", dest="saved", metavar="RUN", help="start from the configuration of a run directory")
    group.add_argument("-m", "--multirun", action="store_true", help="one run per combination of values a,b")
    group.add_argument("--config-dir", metavar="DIR", help="a folder with groups of your own")


def composed_words(options: argparse.Namespace) -> list[str]:
    """Return what `add_overrides` read, as `run_composed` takes it."""
    words = [] if options.saved is None else ["--from", options.saved]
    words += options.overrides
    words += ["--multirun"] if options.multirun else []
    return words + ([] if options.config_dir is None else ["--config-dir", options.config_dir])


def add_json(parser: argparse.ArgumentParser, what: str = "one line of JSON") -> None:
    """Add the choice of output that a machine reads."""
    parser.add_argument("--json", action="store_true", help=what)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add where and with how many threads to compute."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads; all cores unless given")


def add_site_and_contract(parser: argparse.ArgumentParser, required: bool = False) -> None:
    """Add the files that say what a site's own text is."""
    parser.add_argument("--site", type=Path, required=required, metavar="FILE", help="the site file")
    parser.add_argument(
        "--contract", type=Path, required=required, metavar="FILE", help="the label contract, as the kit brought it"
    )


def refuse_verb(verb: str, known: Sequence[str]) -> NoReturn:
    """Refuse a verb that is not known.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(f"no verb '{verb}'{suggestion(verb, known)}; expected one of {', '.join(known)}")
