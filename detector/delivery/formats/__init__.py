"""One module per alert format; each defines ``FORMAT`` and is found by where it stands."""
