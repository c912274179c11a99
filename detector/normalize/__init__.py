"""Records to events: columns, times, SQL, identities, formats, and what could not become one."""
