"""Documents that the API answers with, each kind with what fills it or may change of it."""
