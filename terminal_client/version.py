"""The client's version, as it tells gateways; the package's own says the same (tested)."""

VERSION = "0.1.0"
CLIENT_VERSION = f"posgate-python/{VERSION}"
