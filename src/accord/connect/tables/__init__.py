"""Files of rows, as other systems drop them: which encoding, which cells, which numbers and days. CSV and XLSX."""
