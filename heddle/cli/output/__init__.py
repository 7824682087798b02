"""What the command line prints: tables, live views, and text fit for a terminal."""
