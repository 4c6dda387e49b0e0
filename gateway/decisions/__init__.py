"""How a basket becomes an answer on the box."""
