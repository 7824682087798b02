"""The embedded service: its home folder, and the processes that it starts and watches."""
