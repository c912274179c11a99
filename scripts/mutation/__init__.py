"""Mutation testing: small changes of the code, and whether the tests notice."""
