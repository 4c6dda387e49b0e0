"""Model inputs: signed tables, the store's own log, and the rows assembled from both."""
