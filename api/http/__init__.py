"""HTTP itself: bodies, forms, queries, media types, problems, keys."""
