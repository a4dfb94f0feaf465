"""Pure: what runs, in which order, how it is checked and how it is replaced."""
