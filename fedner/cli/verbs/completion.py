"""`fedner completion`: scripts that complete command lines, and the completions that they ask for."""

from argparse import Namespace
from collections.abc import Iterable, Sequence

from fedner.cli.keys import group_options, known_keys, values_of
from fedner.cli.main import VERBS, parser_of
from fedner.cli.options import HELP_FLAGS
from fedner.errors import ConfigError

# Each script hands over the line up to the cursor and inserts what comes back; files are completed where nothing does.
SCRIPTS = {
    "bash": """\
_fedner() {
    local line=${COMP_LINE:0:COMP_POINT}
    local word=${line##* }
    mapfile -t COMPREPLY < <(fedner completion --words "$line" 2>/dev/null)
    # Readline completes after the last = or : of a word only.
    local before=${word%"${word##*[=:]}"}
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace
}
complete -o default -F _fedner fedner
""",
    "zsh": """\
_fedner() {
    local -a found
    found=(${(f)"$(fedner completion --words "$LBUFFER" 2>/dev/null)"})
    (( $#found )) || { _files; return }
    compadd -S '' -- ${(M)found:#*[=.]}
    compadd -- ${found:#*[=.]}
}
compdef _fedner fedner
""",
    "fish": """\
complete -c fedner -a '(fedner completion --words (commandline -cp | string collect) 2>/dev/null)'
""",
}


def script(options: Namespace) -> None:
    """`fedner completion`."""
    if options.words is not None:
        print("\n".join(completions(options.words)))
    elif options.shell is None:
        raise ConfigError(f"fedner completion: expected a shell, one of {', '.join(SCRIPTS)}, got none")
    else:
        print(SCRIPTS[options.shell], end="")


def completions(line: str) -> list[str]:
    """Return the words that may stand in place of the last one of a line, which is empty after a blank."""
    *before, word = [*line.split()[1:], *([""] if line.endswith(" ") else [])] or [""]
    return sorted(found for found in _candidates(before, word) if found.startswith(word))


def _candidates(before: Sequence[str], word: str) -> Iterable[str]:
    if not before:
        return [*VERBS, *HELP_FLAGS, "--version"]
    try:
        parser, rest = parser_of(before[0]).chosen(before[1:])
    except ConfigError:
        return []
    options = {name: action for action in parser._actions for name in action.option_strings}
    if rest and rest[-1] in options and options[rest[-1]].nargs != 0:
        return options[rest[-1]].choices or []
    if word.startswith("-"):
        return options
    if parser.takes_overrides:
        return _overrides(word)
    places = [] if rest else parser.actions
    return [
        *places,
        *(name for action in parser._actions if not action.option_strings for name in action.choices or []),
    ]


def _overrides(word: str) -> list[str]:
    """Return the overrides that begin like a word, up to the next dot of a key."""
    key, equals, _ = word.partition("=")
    groups = group_options()
    if equals:
        return [f"{key}={value}" for value in groups.get(key) or values_of(key)]
    whole = [f"{name}=" for name in [*groups, *known_keys()] if name.startswith(word)]
    depth = word.count(".") + 1
    return sorted({".".join(name.split(".")[:depth]) + ("." if name.count(".") >= depth else "") for name in whole})
