"""Which files a run reads, in what order, and in which format each is written."""
