"""The embedded service: its home folder and the processes it starts and watches."""
