"""What a component is, how it is found, and how a fault in its parameters is reported."""
