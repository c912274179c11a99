"""A private PostgreSQL with pgaudit, and the small office that is played on it."""
