"""HTTP/1.1 and TLS below the messages: server protocol, client pool, spooled bodies."""
