"""Tables, summaries, rankings and reports of many runs."""
