"""One file per format of alerts; each defines FORMAT."""
