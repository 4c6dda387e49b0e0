"""How the box is: conditions for people, metrics for machines, and the door both come through."""
