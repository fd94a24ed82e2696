"""Around the server: the container lab's program, and what an operator installs."""
