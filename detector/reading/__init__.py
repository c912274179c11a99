"""What every source needs: files, blocks of whole records, column mapping, rejects."""
