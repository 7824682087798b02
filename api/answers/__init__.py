"""What a route tells of work: whole documents, waiting, advice, logs, files, long polls."""
