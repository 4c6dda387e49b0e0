"""The desk side of bundles: what turns authored rules and models into signed releases."""
