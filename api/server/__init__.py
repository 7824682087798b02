"""The server process: its middleware, connections, limits of open files, and log."""
