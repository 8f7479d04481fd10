"""The X-Road Message Protocol 4.0 (SOAP): envelopes, attachments, faults, metaservices."""
