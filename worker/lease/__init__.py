"""Work under a lease: its heart, its log, its files, its outcome."""
