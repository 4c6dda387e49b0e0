"""The client a register runs: it always answers within its budget, with or without a gateway."""
