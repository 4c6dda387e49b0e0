"""What every machine must agree on: pure, standard library only, no I/O, no asyncio, no logging."""
