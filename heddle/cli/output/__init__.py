"""What the command line prints: tables, live progress, and text that is safe for a terminal."""
