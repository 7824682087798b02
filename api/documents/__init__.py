"""The documents of the API's answers, and the functions that fill them from the store's rows."""
