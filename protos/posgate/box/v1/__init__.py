"""Control drives, serving executes: ``posgate.box.v1``."""
