"""The shapes of what the API answers: pydantic models, and how they are filled."""
