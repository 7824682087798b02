"""Studies of many runs: tables, summaries, leaderboards and reports."""
