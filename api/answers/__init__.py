"""Answers that several routes give: work as it is shown, advice, files, logs, long polls."""
