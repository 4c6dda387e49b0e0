"""The ``posgate`` command."""
