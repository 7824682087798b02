"""What many runs show together: tables, summaries, rankings, UDR."""
