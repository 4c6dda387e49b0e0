"""The published contract, ``posgate.v1``."""
