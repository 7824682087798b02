"""HTTP itself: bodies, forms, queries, media types, ETags, problems."""
