"""The client's parts. Everything public is in roomwire.aio, roomwire.client and roomwire.errors."""
