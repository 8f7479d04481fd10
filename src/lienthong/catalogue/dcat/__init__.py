"""The catalogue as DCAT-AP 3: datasets, services, distributions; JSON-LD and Turtle."""
