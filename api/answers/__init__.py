"""Answers that several routes give: work, advice, files, logs, event streams, long polls."""
