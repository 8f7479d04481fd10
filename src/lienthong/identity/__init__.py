"""Who is who: identifiers, keys, certificates, citizen numbers."""
