"""HTTP itself: bodies, forms, query parameters, media types, ETags, problem documents."""
