"""One subcommand per file: each module without a leading underscore has `register(subparsers)`.

A module imports what it needs inside its functions, so that `--help` is quick, and its function
returns the exit code. Mistakes of the user are ValueErrors; `cli.main` prints them.
"""
