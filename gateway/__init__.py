"""The box in the store: answers the registers, supervises its models, talks to the cloud."""
