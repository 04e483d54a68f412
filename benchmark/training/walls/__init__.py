"""What keeps the members of a group apart: nothing that one does changes another's numbers."""
