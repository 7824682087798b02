"""The command line: a file a group of commands, and the tables they print."""
