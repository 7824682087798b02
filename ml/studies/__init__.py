"""What many runs tell together: tables, summaries, rankings, UDR."""
