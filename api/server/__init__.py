"""The server process: its edge, its guard, its connections, its open files, its log."""
