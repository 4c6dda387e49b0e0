"""Running models: the seam, and the runtime inside the serving process."""
