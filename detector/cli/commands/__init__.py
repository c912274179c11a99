"""The commands of ``detector``, one file each."""
