"""Pictures over HTTP: parameters of a plot, drawing, thumbnails."""
