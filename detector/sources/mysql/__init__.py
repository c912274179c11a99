"""Logs of MySQL, MariaDB and Percona Server."""
