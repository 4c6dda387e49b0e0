"""The mirror between a store and its cloud: signed bundles down, telemetry up."""
