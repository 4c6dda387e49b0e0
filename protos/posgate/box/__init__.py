"""Protocols between processes of one box; not published."""
