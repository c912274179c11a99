"""What passes the budget, said to people and machines."""
