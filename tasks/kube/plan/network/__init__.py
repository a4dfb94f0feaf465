"""How services are reached: their names and ports, and who may speak to whom."""
