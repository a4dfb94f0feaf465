"""The data types that every capability uses: pure, no engine, no files."""
