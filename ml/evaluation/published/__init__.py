"""What public codebases print on given rows, one file a codebase, found by being there."""
