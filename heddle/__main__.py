"""`python -m heddle`: the command line."""

from heddle.cli import main

main()
