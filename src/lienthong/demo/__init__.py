"""The nation in a box: five agencies, their databases and a tour of what they may ask."""
