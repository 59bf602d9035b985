"""asyncio: the only layer with transports, futures and ``async def``."""
