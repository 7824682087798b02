"""From a posted spec to experiments in the store: planning, dry runs, continuing, uploads."""
