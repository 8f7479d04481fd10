"""The gateway: client edge, peer edge, wire format, authorisation."""
