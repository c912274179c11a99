"""Keyed pseudonyms of accounts: the key, the cipher, and the audit of who turned one back."""
