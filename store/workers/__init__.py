"""The processes that work: their presence and their troubles."""
