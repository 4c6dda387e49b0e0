"""What registers call: servicers that translate, and the place where errors become statuses."""
