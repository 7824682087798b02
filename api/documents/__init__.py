"""Documents that the API answers with, each kind beside the function that fills it."""
