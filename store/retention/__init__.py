"""What is kept and what is removed: holders of runs, deleting, collecting."""
