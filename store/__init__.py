"""What Heddle stores: tables, the transitions between states, queries, and folders of files.

The database holds the truth about which work is to be done and who does it. This package knows no
web, no message queue and no model. It takes plain values and returns plain dataclasses.
"""
