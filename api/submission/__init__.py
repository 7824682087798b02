"""From a posted spec or file to work in the store: planning, dry runs, continuing, uploads."""
