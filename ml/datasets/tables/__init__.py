"""Image tables: anybody's images with a table of factors, or without factors."""
