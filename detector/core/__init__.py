"""What every stage may use: errors, schemas, settings, files, figures as people read them."""
