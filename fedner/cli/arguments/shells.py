"""Options of the verb that completes command lines."""

from fedner.cli.options import Parser


def completion() -> Parser:
    """`fedner completion`."""
    parser = Parser(
        "completion",
        "Print a script that completes verbs, actions, options and overrides in a shell.",
        "source <(fedner completion bash)                    # in ~/.bashrc\n"
        "         source <(fedner completion zsh)                     # in ~/.zshrc, after compinit\n"
        "         fedner completion fish > ~/.config/fish/completions/fedner.fish",
        "fedner.cli.verbs.completion:script",
    )
    parser.add_argument("shell", nargs="?", choices=["bash", "zsh", "fish"])
    parser.add_argument(
        "--words", metavar="LINE", help="print the completions of a command line up to the cursor, as the scripts ask"
    )
    return parser
