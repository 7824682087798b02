"""`python -m heddle`: the command line."""

from heddle.cli.main import main

main()
