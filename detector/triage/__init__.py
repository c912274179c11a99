"""What people say of alerts, and what follows from it: for baselines and for alerts to come."""
