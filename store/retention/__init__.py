"""What is kept and what may go: holders, deleting, collecting."""
