"""Claims about speed, each with the peer or limit that it is measured against."""
