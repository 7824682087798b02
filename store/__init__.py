"""What Heddle remembers: tables, the transitions between states, queries, and folders of files.

The database is the truth about what is to be done and who is doing it. This package knows no
web, no queue and no model: it takes plain values in and gives plain dataclasses back.
"""
