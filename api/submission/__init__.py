"""From a posted spec or file to jobs in the store: planning, dry runs, continuing, uploads."""
