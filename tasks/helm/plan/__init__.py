"""Pure: the files of a chart."""
