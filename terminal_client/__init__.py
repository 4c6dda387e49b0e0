"""The client a register runs: it always answers within its budget, with or without a gateway.

``TerminalClient`` and ``TerminalConfig`` are what a register's program needs; baskets and
decisions are in ``terminal_client.core``.
"""
