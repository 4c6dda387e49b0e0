"""What every test shares: how long hypothesis may take."""

from hypothesis import settings

# A busy machine is not a bug: pytest-timeout bounds a test as a whole, so single examples have no
# deadline of their own.
settings.register_profile("posgate", deadline=None, print_blob=True)
settings.load_profile("posgate")
