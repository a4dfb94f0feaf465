"""Pure: from objects to the text of files."""
