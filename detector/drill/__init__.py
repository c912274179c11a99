"""What this model would have found, and when: staged campaigns, and incidents that are known."""
