"""`python -m cli` is `calltag`."""

from cli.main import main

main()
